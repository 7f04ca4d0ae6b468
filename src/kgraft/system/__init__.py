"""The machine: files, memory, threads, devices, the terminal and progress."""
