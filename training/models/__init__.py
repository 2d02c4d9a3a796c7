"""The networks: an n-gram branch, a recurrent branch, and the classifier that adds them."""
