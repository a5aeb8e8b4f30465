"""What experiments hand to training: interactions, labelled examples, and whose data they are."""
