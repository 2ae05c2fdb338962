"""Infrastructure validation: the candidate must predict the same in a server as in the pipeline."""
