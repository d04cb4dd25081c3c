"""The items of two reporting guidelines for papers on networks that read images, in words of our own.

The texts are paraphrased and shortened; the published lists have the last word. What a run can tell is named by keys of
`evidence`; what is left for the authors is said in words.

References:
    Tejani et al., "Checklist for Artificial Intelligence in Medical Imaging (CLAIM): 2024 Update", Radiology: Artificial
    Intelligence 2024. Collins et al., "TRIPOD+AI statement", BMJ 2024;385:e078378.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Item:
    """One item of a guideline.

    Args:
        number: as published; of TRIPOD+AI the main items, whose parts are taken together.
        section: of the paper.
        text: what is to be reported.
        needs: keys of what a run tells about it; none if a machine knows nothing of it.
        authors: what a machine cannot know; empty if nothing is left.
    """

    number: int
    section: str
    text: str
    needs: tuple[str, ...] = ()
    authors: str = ""


_WORDING = "wording of the paper"

CLAIM = (
    Item(1, "Title", "Say that this is a study of AI, and of which kind", authors=_WORDING),
    Item(2, "Abstract", "Structured abstract: design, methods, results, conclusions", authors=_WORDING),
    Item(3, "Introduction", "Background, and the role the network is meant for", authors="background and intended use"),
    Item(4, "Introduction", "Aims and hypotheses", authors="aims and hypotheses"),
    Item(5, "Study design", "Prospective or retrospective", authors="design of the study"),
    Item(6, "Study design", "Goal, such as feasibility or comparison", authors="goal of the study"),
    Item(7, "Data", "Where the data come from", ("source",), "institutions, dates, and permission to use them"),
    Item(8, "Data", "Who and what was included and excluded", ("excluded",), "criteria for patients"),
    Item(9, "Data", "Preparation of the images", ("preprocess",)),
    Item(10, "Data", "Parts of the data that were selected", ("selection",)),
    Item(11, "Data", "How identities were removed", authors="de-identification before the data came here"),
    Item(12, "Data", "How missing data were dealt with", ("missing",)),
    Item(13, "Data", "How the images were acquired", authors="devices and protocols"),
    Item(14, "Reference standard", "How the truth was determined", authors="definition of the reference standard"),
    Item(15, "Reference standard", "Why this reference standard", authors="reasons for the reference standard"),
    Item(16, "Reference standard", "Who labeled, with what experience", authors="readers, their number and experience"),
    Item(17, "Reference standard", "How the test images were labeled", authors="labeling of the test images"),
    Item(18, "Reference standard", "Agreement among and within readers", authors="agreement of the readers"),
    Item(19, "Partitions", "How data were given to the partitions", ("split",)),
    Item(20, "Partitions", "At which level partitions are disjoint", ("level", "leaks")),
    Item(21, "Test data", "Intended size of the sample", ("counts",), "why this size was aimed at"),
    Item(22, "Model", "The model in detail", ("network",)),
    Item(23, "Model", "Software and its versions", ("software",)),
    Item(24, "Model", "Initial weights", ("start",)),
    Item(25, "Training", "How it was trained", ("training", "augment", "balance")),
    Item(26, "Training", "How the final model was selected", ("choice",)),
    Item(27, "Training", "Ensembles, if any", ("ensemble",)),
    Item(28, "Evaluation", "Measures of performance", ("metrics",)),
    Item(29, "Evaluation", "Statistics: uncertainty and significance", ("intervals",)),
    Item(
        30,
        "Evaluation",
        "Robustness and sensitivity",
        ("shortcuts", "robustness"),
        "repeats with other seeds, changed images",
    ),
    Item(31, "Evaluation", "Explanations of what the network does", ("explanations",)),
    Item(32, "Evaluation", "Evaluation on data of the same source", ("internal",)),
    Item(33, "Evaluation", "Testing on data of other sources", ("sites",), "test at institutions of its own"),
    Item(34, "Evaluation", "Registration of a trial", authors="registration, if it is a trial"),
    Item(35, "Results: data", "Numbers included and excluded, with a diagram", ("flow",)),
    Item(36, "Results: data", "Who the patients are, in each partition", ("classes",), "age, sex and clinical facts"),
    Item(37, "Results: model", "Performance with its uncertainty", ("result", "calibration")),
    Item(38, "Results: model", "Diagnostic accuracy with its precision", ("threshold", "per_class")),
    Item(39, "Results: model", "Analysis of failures", ("failures",)),
    Item(40, "Discussion", "Limitations", ("limits",), "limitations of the study"),
    Item(41, "Discussion", "What it means for practice", authors="implications for practice"),
    Item(42, "Other", "Where protocol and details are", ("details",), "reference to the protocol"),
    Item(43, "Other", "Availability of code, model and data", ("code", "weights"), "where they can be had"),
    Item(44, "Other", "Funding, and the role of funders", authors="funding"),
)

TRIPOD_AI = (
    Item(1, "Title", "Say that a prediction model is developed or evaluated, for whom and what", authors=_WORDING),
    Item(2, "Abstract", "Abstract by the guideline's own list", authors=_WORDING),
    Item(3, "Introduction", "Background, users, known inequalities", authors="background"),
    Item(4, "Introduction", "Objectives", authors="objectives"),
    Item(5, "Methods", "Sources and dates of the data", ("source",), "dates, and whom the data stand for"),
    Item(6, "Methods", "Setting, eligibility, treatments", authors="setting, criteria and treatments"),
    Item(7, "Methods", "Preparation and quality checks of the data", ("preprocess", "leaks")),
    Item(8, "Methods", "Outcome, and how it is assessed", ("classes",), "definition and assessment of the outcome"),
    Item(9, "Methods", "Predictors, and how they are measured", ("input",), "acquisition of the images"),
    Item(10, "Methods", "Sample size", ("counts",), "reasons for the size"),
    Item(11, "Methods", "Missing data", ("missing",)),
    Item(
        12,
        "Methods",
        "Analysis: use of the data, model, training, selection, measures",
        ("split", "network", "training", "choice", "metrics", "intervals"),
    ),
    Item(13, "Methods", "Class imbalance", ("balance",)),
    Item(14, "Methods", "Fairness", ("subgroups",), "which groups matter, and why"),
    Item(15, "Methods", "What the model puts out, and thresholds", ("output", "threshold")),
    Item(16, "Methods", "How training and evaluation data differ", ("internal", "flow"), "differences in setting"),
    Item(17, "Methods", "Ethical approval", authors="approval and consent"),
    Item(
        18,
        "Open science",
        "Funding, conflicts, protocol, registration, data and code",
        ("code",),
        "funding, conflicts of interest, protocol, registration, sharing",
    ),
    Item(19, "Involvement", "Involvement of patients and public", authors="involvement of patients and public"),
    Item(20, "Results", "Flow and characteristics of participants", ("flow", "classes"), "clinical characteristics"),
    Item(21, "Results", "Numbers of participants and outcomes in each analysis", ("counts", "classes")),
    Item(22, "Results", "The full model, so that others can use it", ("weights", "details")),
    Item(23, "Results", "Performance with intervals, also in groups", ("result", "calibration", "curve", "subgroups")),
    Item(24, "Results", "Updating of the model", ("start",)),
    Item(25, "Discussion", "Interpretation, fairness included", authors="interpretation"),
    Item(26, "Discussion", "Limitations", ("limits",), "limitations of the study"),
    Item(27, "Discussion", "Usability: bad or missing input, users, next steps", authors="use in care"),
)

LISTS = {"CLAIM 2024": CLAIM, "TRIPOD+AI 2024": TRIPOD_AI}

NAMES = {  # of keys that are no words for a reader
    "choice": "choice of the weights",
    "classes": "counts of each class",
    "counts": "counts of each partition",
    "curve": "decision curve",
    "excluded": "what was left out",
    "flow": "counts from found to used",
    "leaks": "audit of the partitions",
    "level": "level of the partitions",
    "limits": "cautions",
    "per_class": "rates of each class",
    "shortcuts": "search for shortcuts",
    "sites": "a test of whole sites",
    "start": "initial weights",
    "threshold": "threshold with its rates",
}
