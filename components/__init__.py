"""What the nodes of the graph do: one folder for each that has code of ours."""
