"""Infrastructure: does the exported model answer in a server as it did in the pipeline?"""
