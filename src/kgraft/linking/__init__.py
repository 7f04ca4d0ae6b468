"""Links between knowledge graphs, joint graphs, and linked subgraphs."""
