"""What a product rules about its slates: which items, which sooner, how many of a kind. No Django."""
