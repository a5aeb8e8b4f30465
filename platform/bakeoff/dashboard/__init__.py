"""Pages for people. They show what is stored; none computes a statistic."""
