"""How good a network is, with honest intervals: pure NumPy and scikit-learn, no torch.

`classification` and `reconstruction` judge a split and return plain dictionaries for `evaluation.json`; `metrics` and
`calibration` hold the values, `intervals` what they are worth, `patients` joins the images of a patient; `ranking` and
`weighted` make a thousand resamples cheap. `quick` serves every validation epoch, `nearest` is the anchor without
learning, `pointing` says whether heat maps point at lesions; `checks` refuses what cannot be judged.
`temperature`, `calibrator` and `calibrator_choice` mend probabilities on validation; `reliability`, `brier_parts`,
`recalibration` and `calibration_judgement` say what that gave. `conformal` makes sets of classes that `conformal_check`
judges; `selective` and `referral` leave unsure images to a person.
Nothing is imported here, so that a training that needs `quick` alone does not wait for scikit-learn.

Legend of axes: N images, K classes, P patients, R resamples, G groups of tied scores, D pixels of a thumbnail.
"""
