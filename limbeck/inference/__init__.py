"""Writing with a model: greedy or sampled completions of many prompts."""
