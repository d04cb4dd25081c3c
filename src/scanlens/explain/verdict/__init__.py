"""What is measured on one heat map before anybody is shown it: does the answer depend on what is highlighted, and does it hold?"""
