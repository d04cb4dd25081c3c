"""A finished run judged on images of elsewhere: nothing is fitted on them, everything that was chosen is used as it is."""
