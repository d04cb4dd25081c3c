"""The explanation of one case as DICOM objects that an archive takes; numbers and pictures in, pydicom data sets out.

highdicom writes them (optional: pip install 'scanlens[dicom]'). Nothing here reads a file or knows whether an identity was kept: the
headers that come in hold what may go out (`data.dicom_reference`).
"""
