"""The cases of bad input, by what is asked of the models."""
