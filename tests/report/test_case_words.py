"""Sentences of the sheet of a case: each says what the numbers say and no more."""

from __future__ import annotations

import re
from itertools import product

import pytest

from fakes.case_records import record
from scanlens.report.case_sheet import answer_words, beside_words, map_words, phrases
from scanlens.report.case_sheet.record import check


def call(**changes) -> str:
    return " ".join(answer_words.call_sentences(record(**changes)))


def test_the_record_that_is_changed_here_follows_the_schema() -> None:
    check(record())


def test_the_answer_is_a_probability_only_where_it_was_calibrated() -> None:
    assert answer_words.answer_sentences(record()) == [
        "The network's output fits 'no_tumor' best: calibrated on the validation split, with a probability of 0.70 (as stated by the "
        "network, 0.80)."
    ]
    plain = answer_words.answer_sentences(record(answer__is_calibrated=False))
    assert plain == [
        "The network's output fits 'no_tumor' best and states 0.80 for it. This was not calibrated: do not read it as the probability "
        "of a disease."
    ]
    assert answer_words.answer_sentences(record(answer__predicted=None)) == [
        "The answer of the network was not assessed."
    ]


def test_how_often_such_answers_were_right_is_told_beside_it() -> None:
    sure = {
        "value": 0.64,
        "low": 0.5,
        "high": 0.76,
        "num": 100,
        "num_positive": 64,
        "num_patients": 80,
        "lowest": 0.91,
        "highest": 0.97,
    }
    said = answer_words.answer_sentences(
        record(answer__as_sure=sure, answer__calibration_error={"value": 0.22, "by_chance_up_to": 0.09})
    )
    assert said[1] == "On the test split such probabilities were off by 0.22 on average (up to 0.09 would be chance)."
    assert said[2].replace("\u00a0", " ") == (
        "Of 100 test images of 80 other patients with an answer stated at 0.91 to 0.97, 64 were answered rightly: 64 % (95 % interval "
        "50 % to 76 %)."
    )


def test_a_score_far_from_the_threshold_is_only_compared_with_it() -> None:
    assert answer_words.call_sentences(record())[0] == (
        "For 'tumor' the score of the patient's 4 images is 0.10, below the threshold of 0.40 (by 1.8 in log-odds): called negative."
    )
    assert "close to the threshold" not in call()
    assert "convention" not in call()


def test_a_score_near_the_threshold_is_said_to_be_near() -> None:
    near = {"decision__score": 0.3, "decision__distance_log_odds": -0.44}
    assert "close to the threshold" in call(**near)
    assert "at or above the threshold of 0.40 (by 0.0 in log-odds): called positive" in call(
        decision__score=0.4, decision__distance_log_odds=0.0, decision__called="positive", operating_point__chosen={}
    )


def test_a_score_where_validation_had_nobody_is_called_by_convention() -> None:
    said = call(decision__score=0.44, decision__called="positive", decision__distance_log_odds=0.16)
    assert "scored between 0.35 and 0.45, where this score lies" in said
    assert "close to the threshold" not in said, "said once, by the stronger sentence"
    for edge in (0.35, 0.45):
        assert "convention" not in call(decision__score=edge)


def test_cases_with_about_the_same_score_are_counted() -> None:
    assert (
        "Of the 30 test images of 12 other patients with the nearest scores (0.08 to 0.20; that of this image is 0.12), 3 were 'tumor': 10 % "
        "(95 % interval 2 % to 30 %)."
    ) in call().replace("\u00a0", " ")
    assert "reassuring" not in call()


@pytest.mark.parametrize(
    ("num", "called", "clashes"), [(14, "negative", False), (15, "negative", True), (29, "positive", False)]
)
def test_a_negative_call_among_the_ill_is_said_to_clash(num: int, called: str, clashes: bool) -> None:
    said = call(decision__similar_scores__num_positive=num, decision__called=called)
    assert ("do not take it as reassuring" in said) == clashes


def test_too_few_of_about_the_same_score_are_not_assessed() -> None:
    nothing = {"value": None, "reason": "3 test images of others have about this score, and 10 are needed"}
    assert "at about this score: not assessed, 3 test images of others" in call(decision__similar_scores=nothing)


def test_without_a_threshold_nobody_is_called() -> None:
    said = answer_words.call_sentences(
        record(decision={"positive": None, "reason": "no class was named as the one not to miss"})
    )
    assert said == ["Call at a threshold: not assessed, no class was named as the one not to miss."]


def test_a_negative_call_names_those_who_were_missed_both_ways_round() -> None:
    said = [one.replace("\u00a0", " ") for one in answer_words.miss_sentences(record())]
    assert said == [
        "Negative does not mean healthy.",
        "Of 19 patients of the test split that were called negative, 2 were 'tumor': 11 % (3 % to 31 %); fewer where 'tumor' is rarer than "
        "there.",
        "Of 40 'tumor' patients 2 were called negative: 5 % (1 % to 17 %).",
        "Size of missed lesions: not assessed, no lesion of the test split is marked.",
        "How many of this image's quality were missed: not assessed.",
    ]
    assert answer_words.miss_sentences(record(decision__called="positive")) == []


def test_sizes_of_missed_and_found_lesions_are_told_in_the_units_that_are_known() -> None:
    sizes = {
        "missed": {"num": 2, "num_marked": 2, "median_share": 0.005}, "found": {"num": 38, "num_marked": 30, "median_share": 0.02},
        "reason": None,
    }  # fmt: skip
    changed = {"operating_point__missed_lesions": sizes}
    said = answer_words.miss_sentences(record(**changed))[3].replace("\u00a0", " ")
    assert said == (
        "Median size of the marked lesion: 0.5 % of the image (20 px) where missed (2 patients); 2.0 % of the image (82 px) where found "
        "(marked in 30 of 38 patients)."
    )
    assert (
        "(20 px, 5 mm² at the pixels of this image)"
        in answer_words.miss_sentences(record(**changed, image__mm_per_px=[0.5, 0.5]))[3]
    )
    none = sizes | {"missed": {"num": 0, "num_marked": 0, "median_share": None}}
    assert answer_words.miss_sentences(record(operating_point__missed_lesions=none))[3].endswith("; none was missed.")


def test_predictive_values_are_told_at_three_prevalences_with_their_intervals() -> None:
    assert answer_words.prevalence_sentences(record()) == ["Predictive values at other prevalences: not assessed."]
    ppv, npv = {"value": 0.5, "low": 0.4, "high": 0.6}, {"value": 0.98, "low": 0.9, "high": 0.99}
    rows = [
        {"prevalence": share, "source": source, "ppv": ppv, "npv": npv}
        for share, source in ((0.05, None), (0.1, "stated"), (0.18, None))
    ]
    said = answer_words.prevalence_sentences(record(operating_point__at_prevalences=rows))[0].replace("\u00a0", " ")
    assert "where 5.0 % are, PPV 50 % (40 % to 60 %), NPV 98 % (90 % to 99 %); where 10.0 % are (stated), PPV" in said
    assert said.endswith("half and twice the odds of the stated prevalence are asked about too.")
    split = [rows[0], rows[2], rows[1] | {"source": "test split"}]
    assert (
        "more frequent than in most practice"
        in answer_words.prevalence_sentences(record(operating_point__at_prevalences=split))[0]
    )


def test_spread_over_members_is_told_with_its_rank() -> None:
    members = {"method": "ensemble", "num": 5.0, "percentile": 83.0}
    changed = {
        "uncertainty__entropy_nats": 0.3,
        "uncertainty__mutual_information_nats": 0.012,
        "uncertainty__members": members,
    }
    said = answer_words.uncertainty_sentences(record(**changed))[-1].replace("\u00a0", " ")
    assert said == (
        "Over 5 networks the answers to this image differ by 0.012 nats (mutual information), of 0.300 nats of uncertainty in all; more "
        "than in 83 % of the test images. 0 is no difference."
    )
    passes = record(**changed | {"uncertainty__members": members | {"method": "mc_dropout"}})
    assert "Over 5 passes with dropout" in answer_words.uncertainty_sentences(passes)[-1]


def test_an_aim_that_was_missed_on_the_test_split_is_told() -> None:
    assert answer_words.threshold_sentence(record()) is None  # no aim is stated
    rule = {"name": "sensitivity", "target": 0.95}
    assert answer_words.threshold_sentence(record(operating_point__chosen__rule=rule)) is None  # 0.95 is reached
    low = {"value": 0.72, "low": 0.63, "high": 0.8, "reason": None}
    missed = record(operating_point__chosen__rule=rule, operating_point__test__sensitivity=low)
    assert answer_words.threshold_sentence(missed) == (
        "The sensitivity that was aimed at, 0.95, was not reached on the test split: 0.72 (0.63 to 0.80)."
    )


def test_sets_and_referral() -> None:
    said = answer_words.uncertainty_sentences(record())
    assert said[0].replace("\u00a0", " ") == (
        "Set of likely classes: 'no_tumor'. The right class should lie in such sets in 90 % of images like those of the test split; it was "
        "88 % (80 % to 94 %) there."
    )
    assert said[-1] == "Spread over an ensemble, dropout or seeds: not assessed."
    failed = answer_words.uncertainty_sentences(
        record(uncertainty__measured_coverage={"value": 0.72, "low": 0.66, "high": 0.78})
    )
    assert "Do not rely on it" in failed[0]
    referred = answer_words.uncertainty_sentences(record(uncertainty__refer=True, uncertainty__set=[]))
    assert "none, the image fits no class well" in referred[0]
    assert "a person should decide this case" in referred[1]
    everybody = answer_words.uncertainty_sentences(record(uncertainty__refer=True, uncertainty__refers_all=True))
    assert "nothing particular about this case" in everybody[1]
    missing = answer_words.uncertainty_sentences(record(uncertainty__refer=None, uncertainty__set=None))
    assert missing[:2] == ["Set of likely classes: not assessed.", "Whether a person should decide: not assessed."]


def test_what_is_measured_on_a_map() -> None:
    said = [one.replace("\u00a0", " ") for one in map_words.map_sentences(record()["maps"][0])]
    assert said == [
        "75 % of the evidence on the map speaks for 'no_tumor', the rest against it.",
        "60 % of the evidence for it lies in the upper left quarter of the picture (25 % if spread evenly).",
        "Outlined: the strongest 2 % of the map (63 pixels), with 20 % of the evidence for it. Largest value at row 9, column 25 of the "
        "network's input, counted from the upper left.",
        "The largest value lies inside the marked lesion.",
    ]
    blank = map_words.map_sentences(record(maps__0__is_blank=True)["maps"][0])
    assert blank == ["The map is the same everywhere and tells nothing."]
    opposed = map_words.map_sentences(record(maps__0__measured__level_for=None)["maps"][0])
    assert opposed == ["Nothing on the map speaks for 'no_tumor'."]
    area = map_words.map_sentences(record(maps__0__measured__outlined_mm2=210.0)["maps"][0])
    assert "(63 pixels, 2.1 cm²)" in area[2]


def test_how_fine_the_map_is() -> None:
    coarse = map_words.resolution_sentences(record()["maps"][0])
    assert coarse[0] == "One cell of the map is 2 × 2 pixels: nothing smaller can be outlined by it."
    assert coarse[1:] == [
        "From which size on lesions are called by the network: not assessed, limits were not measured.",
        "From which size on lesions are pointed at by the map in half of the cases: not assessed, limits were not measured.",
    ]
    known = record(
        maps__0__resolution__limit_of_localization_px={"value": 7.04, "low": 6.2, "high": 8.1, "state": "found"},
        maps__0__resolution__cell_mm=[1.5, 1.5],
    )
    said = map_words.resolution_sentences(known["maps"][0])
    assert "(1.5 × 1.5 mm)" in said[0]
    assert (
        said[2]
        == "Inserted lesions were pointed at by the map in half of the cases from a diameter of 7.0 pixels (6.2 to 8.1) on."
    )


def test_the_image_comes_first() -> None:
    assert beside_words.quality_sentences(record()) == [
        "Nothing about the image is unusual among those of the training. This does not say that the result is right."
    ]
    bad = beside_words.quality_sentences(record(quality__status="bad", quality__reasons=["The image is nearly black."]))
    assert bad == [
        "The image is not one that the network can be asked about: no result should be drawn from it.",
        "The image is nearly black.",
    ]
    assert beside_words.quality_sentences(record(quality__status=None)) == ["Quality of the image: not assessed."]


def neighbor(*, is_close: bool) -> dict:
    return {"case": "train-00001", "label": "glioma", "is_close": is_close}


def test_similar_cases_are_told_to_be_far_where_they_are() -> None:
    assert beside_words.similar_sentence(record()) == (
        "Similar training cases: not assessed, similar training cases were not looked for."
    )
    near = record(similar__same=[neighbor(is_close=True)], similar__num_searched=332.0)
    assert beside_words.similar_sentence(near).startswith("Nearest among 332 training images")
    far = record(similar__same=[neighbor(is_close=False)])
    assert beside_words.similar_sentence(far).startswith("No close case")


def test_known_limits_follow_from_the_record() -> None:
    usual = beside_words.known_limits(record())
    assert len(usual) == 3, usual  # other hospitals, groups, readers
    assert usual[0].endswith("than those of the data it was made with: not assessed.")
    assert usual[1] == "Results by site, scanner or stain and age: not assessed."
    told = beside_words.known_limits(record(readers={"num_readings": 3.0, "num_cases": 1.0}))
    assert told[-1] == "Whether such sheets help a reader: see the report of the run, which has 3 readings of 1 case."
    every = beside_words.known_limits(
        record(
            image__is_phantom=True, tested_on__train_counts={"no_tumor": 29.0}, tested_on__patients_known=False,
            operating_point__num_positive=29.0, shortcuts__convicted=["corner"], tested_on__subgroups=[], tested_on__warnings=["Beware."],
        )
    )  # fmt: skip
    text = " ".join(every)
    for part in (
        "nothing here holds for a real patient", "'no_tumor' is rare in the training: 29 images.", "Patients of the training data are unknown",
        "rests on 29 'tumor' patients", "swayed by what is no disease: corner.", "Beware.", "Results by site, scanner or stain, sex and age: not assessed",
    ):  # fmt: skip
        assert part in text
    assert beside_words.known_limits(record(tested_on__is_external=True, shortcuts__reason="not looked for"))[0] == (
        "Whether the network answers by what is no disease: not assessed."
    )


def test_no_sentence_is_surer_than_its_numbers_or_names_what_is_no_class() -> None:
    """Over many combinations: no word of certainty, no disease that is not a class, no leftover of a format."""
    surely = re.compile(
        r"\b(certain|certainly|definite|confident|confidence|diagnos\w+|proves? that|healthy patient|cancer|malignan\w+)\b"
    )
    for score, low, set_, level in product((0.05, 0.39, 0.44, 0.97), (0.0, 0.3), ([], ["no_tumor"], None), (None, 0.5)):
        one = record(
            decision__score=score, decision__called="positive" if score >= 0.4 else "negative", decision__similar_scores__low=low,
            decision__similar_scores__high=low + 0.3, uncertainty__set=set_, maps__0__measured__level_for=level,
        )  # fmt: skip
        said = [
            *answer_words.answer_sentences(one), *answer_words.call_sentences(one), *answer_words.uncertainty_sentences(one), *answer_words.miss_sentences(one),
            *map_words.map_sentences(one["maps"][0]), *map_words.resolution_sentences(one["maps"][0]), *beside_words.known_limits(one),
        ]  # fmt: skip
        text = " ".join(said)
        assert not surely.search(text.lower()), text
        assert not re.search(r"\bNone\b|\bnan\b|\{|\}", text), text


def test_paths_in_texts_of_the_run_are_hidden() -> None:
    said = beside_words.known_limits(record(tested_on__warnings=["12 files of /home/jane_doe/scans were left out."]))
    assert "jane_doe" not in " ".join(said)


def test_where_people_are_unknown_groups_are_counted_and_not_called_patients() -> None:
    unknown = record(
        tested_on__patients_known=False, similar__same=[neighbor(is_close=False)], similar__num_compared=191.0
    )
    assert "of 12 other groups of near-duplicate images with the nearest scores" in " ".join(
        answer_words.call_sentences(unknown)
    )
    assert beside_words.similar_sentence(unknown).endswith("validation images (191 groups of near-duplicate images).")


def test_commands_are_not_for_clinicians() -> None:
    assert phrases.without_commands("Not assessed. scanlens explain parts=score_card compares them.") == "Not assessed."
    assert (
        phrases.without_commands("limits were not measured (scanlens explain parts=limits)")
        == "limits were not measured"
    )
