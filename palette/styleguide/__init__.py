"""The page that shows every part of the design in every state, drawn from the fragments that the product uses."""
