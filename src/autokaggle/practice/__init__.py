"""A loopback Kaggle and a demo competition, for trying the program without an account."""
