"""`scanlens dicom`: the explained cases of a run on DICOM files as DICOM objects."""
