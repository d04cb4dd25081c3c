"""What the commands say of themselves; scanlens train --help is in conf/train.yaml."""

from __future__ import annotations

HELP = """\
scanlens: train a network on medical images, judge it honestly and explain what it looks at.

  scanlens train [group=option ...] [name=value ...]    the same as python train.py; see scanlens train --help
  scanlens audit [group=option ...] [name=value ...]    copies, leaks, shortcuts, odd images: before training
  scanlens folds folds=5 [seeds=[1,2,3]] [...]          a cross-validation, with several seeds: every patient tested once
  scanlens report run=outputs/RUN_ID                    write the report page of a run again
  scanlens predict run=outputs/RUN_ID path=FILE ...     judge new images and volumes with the network of a run
  scanlens evaluate run=outputs/RUN_ID data.root=DIR    judge a run on labeled images of elsewhere
  scanlens compare runs=outputs/A,outputs/B             runs side by side, and what can be told from chance
  scanlens robustness run=outputs/RUN_ID                judge a run on test images made worse
  scanlens explain run=outputs/RUN_ID                   put the heat maps of a run to the test
  scanlens dicom run=outputs/RUN_ID                     explained cases as DICOM objects, for an archive (PACS)
  scanlens ensemble runs=outputs/A,outputs/B            the mean of runs, as a run of its own
  scanlens sweep run=outputs/RUN_ID                     the table of a sweep (train -m ...) or search, as it is now
  scanlens selftest [group=option ...] [name=value ...] is everything right here? Certifies an installation, a model, a method
  scanlens cache [clear]                                decoded images on disk: list or remove them
  scanlens --version

For research, not for diagnosis.
"""

REPORT_HELP = """\
scanlens report run=outputs/RUN_ID [pdf=true] [reveal_after_commit=true] [intended_use="..."]

Write outputs/RUN_ID/report again from what lies in the run folder; neither torch nor the images are needed.
  index.html         the page of the run
  cases/CASE.html    the sheet of each explained case, two pages when printed
  cases/CASE.json    everything on that sheet as numbers (schema: scanlens/report/case_sheet/schemas/case.schema.json)
  *.pdf              the page and the sheets as PDF, with pdf=true (pip install 'scanlens[pdf]')
Each sheet has a box for a reader, which offers CASE.reader.json as a download (schema: reader.schema.json, beside that above). Put such
files into outputs/RUN_ID/readers, under any name that ends in .json: they are judged here, and files that cannot be used are named.
reveal_after_commit=true hides output and maps on the sheets until the reader has answered (the page of the run shows them: hand out
report/cases alone); intended_use: what the network is for, in your words. Both are those of the training's configuration unless given.
"""

PREDICT_HELP = """\
scanlens predict run=outputs/RUN_ID path=FILE_OR_FOLDER [path=...] [maps=3] [overlay=true] [names=auto]

Judge new pictures, NIfTI volumes and DICOM files (of any name) with the best weights of a finished run, read and prepared
as in its training. Writes, below outputs/RUN_ID/new,
  predictions.csv   one row per picture or slice: a probability per class, or the reason why it cannot be read;
                    calibrated_CLASS: the same as calibrated by the run; set: the classes that are likely, set_size of
                    them; refer: yes where a person should look;
                    score, threshold, called: positive or negative for the class that must not be missed, where the run
                    chose its threshold for images, or where the patient is unknown;
                    seen_in_training: image | patient where the network was trained on it, or on a patient of that name
  patients.csv      one row per patient or volume, by the rule that the run chose on its validation patients; DICOM patients
                    are hashed under the key of your user, or of $SCANLENS_PSEUDONYM_KEY; score, threshold and called where
                    the run chose its threshold for patients; num_referred: images that a person should see
  slices.csv        of volumes: how much each slice decides (change of the log-odds when it is left out), the decisive ones
                    ranked; <case>_slices.png draws it
  <case>_<method>.nii.gz   of NIfTI volumes: the maps of all slices on the voxels of the volume, in log-odds, NaN where the
                    network cannot look, to be laid over the scan in any viewer (overlay=false leaves it out)
Of DICOM files, and where the run has privacy.names=hide, the tables hold pseudonyms of files; names=keep names them.
Writes also the scan and heat maps of each picture and, of each volume, of the slices (maps=3) that speak most for its class.
Calibration, threshold, sets and referral are those that the run chose on its validation patients; what it did not choose is
left empty, and said with its reason.

For research, not for diagnosis.
"""

EVALUATE_HELP = """\
scanlens evaluate run=outputs/RUN_ID data.root=/new/scans [data=NAME] [data.xxx=...] [classes={NEW: OWN}] [...]

Judge a finished run on a labeled set of elsewhere. Nothing is fitted on it: rule for patients, calibration, threshold, sets
and referral are those that the run chose. Images are read and prepared as in its training.

  data.xxx=  settings of the data node of the run, changed, such as data.root=/new/scans
  data=      another node in its place, with data.xxx=... as in training
  classes=   which class is which where names differ by more than case, spaces, _ and -: classes={Tumour: tumor, cyst: null};
             null leaves images out
  split=     all (default), or test: only the test split that the new data set brings
  on_seen=   refuse (default) images and patients that the network was trained on, or warn: go on and say so
  out=       where everything goes; a new folder below outputs/RUN_ID/external if not given

Writes predictions/test.csv and test_patients.csv, evaluation.json, results.csv and .tex, quarantine.csv, and
report/index.html: own test split and new images side by side, and whether the new images are like those of the training.

For research, not for diagnosis.
"""

FOLDS_HELP = """\
scanlens folds folds=5 [seeds=[1,2,3]] [group=option ...] [name=value ...]
scanlens folds seeds=[1,2,3] [group=option ...] [name=value ...]
scanlens folds run=outputs/RUN_ID

Train and judge every fold of a cross-validation, with one seed or several, then gather them. Every setting of a training
command is understood (scanlens train --help).

  scanlens folds folds=5 model=lenet data=mri data.root=/my/scans run_id=cv
  scanlens folds folds=5 seeds=[1,2,3] ...              every fold with every seed: 15 runs
  scanlens folds seeds=[1,2,3] ...                      no folds: the same train, val and test with every seed
  scanlens folds folds=3 split.by=site ...              whole sites go into folds; as many as sites: each left out once
  scanlens folds folds=5 hydra/launcher=slurm ...       one Slurm job a fold
  scanlens folds run=outputs/cv                         gather folds that are finished

Each fold is an ordinary run folder, outputs/RUN_ID/0 and so on. The same command with the same run_id goes on: finished
runs are not repeated, and one that failed does not keep the others from finishing. When all are done it writes, into
outputs/RUN_ID, folds.json, folds.csv and folds.html: each metric in each fold, mean, standard deviation and range, and
the judgement of all test predictions together, every image once, with intervals over patients.

seeds=[...] are seeds of the training alone: initial weights, order of images, augmentation, dropout. The division of patients
is the same for all: that of split.seed, else of seed (1 if not given). Runs lie in outputs/RUN_ID/seed_1/0 and so on, and
outputs/RUN_ID/seed_1 is a cross-validation like any other, to be given to scanlens compare. The page then tells what another
training would change (standard deviation over seeds), what other patients would (folds, intervals), and how the spread of one
network on one fold divides into seed, fold and rest. More seeds may be added later: seeds=[1,2,3,4].

For research, not for diagnosis.
"""

CACHE_HELP = """\
scanlens cache [path=outputs/.cache]
scanlens cache clear [older_than=DAYS] [path=outputs/.cache]

List the decoded images that runs share, with size, number of images, last use, and whether a process uses them now.
clear removes those that none uses (older_than=30: only if not used for 30 days); the next run decodes them again.
Runs keep the folder below loader.max_cache_gib by themselves.
"""

COMPARE_HELP = """\
scanlens compare runs=RUN,RUN[,...] [metric=auroc] [pairs=first] [out=FOLDER]

Hold runs that were judged on the same test images against each other: metrics with intervals, parameters, time and
memory per image, and the differences with p values corrected for the number of comparisons.

  runs=      run folders, the one to compare with first; or folders of folds (runs=[a,b] and runs=a runs=b are the same);
             of several seeds, the folder of one: outputs/RUN_ID/seed_1
  metric=    auroc, auprc, balanced_accuracy, accuracy, log_loss or brier
  pairs=     first: every other run less the first; all: every pair
  out=       where comparison.{html,csv,tex,json} go; a new folder below outputs/comparisons if not given

For research, not for diagnosis.
"""

ROBUSTNESS_HELP = """\
scanlens robustness run=outputs/RUN_ID [kinds=noise,blur] [split=test]

Judge a finished run on its test images made worse, at five strengths each; nothing is trained or chosen anew.

  kinds=     of noise, bias_field, blur, motion, contrast, rotation, resolution; all if not given

Writes outputs/RUN_ID/robustness.json (AUROC, balanced accuracy, log loss, calibration error, sensitivity at the chosen
threshold, share of answers that change, and what is lost to the images as they are, with intervals over patients), pictures
below outputs/RUN_ID/robustness, and a section of the report page. robustness.enabled=true does so within a training.

For research, not for diagnosis.
"""

EXPLAIN_HELP = """\
scanlens explain run=outputs/RUN_ID [parts=NAME,NAME] [cases=50] [methods=NAME,NAME] [...]
scanlens explain runs=RUN,RUN[,...] [cases=50] [out=FOLDER]

Put the heat maps of a finished run to the test; nothing is trained or chosen anew.

  parts=     which tests; all if not given
             score_card: are maps consistent, plausible, true to the network and useful, and more so than controls?
               methods=grad_cam,...   options of conf/explain that are compared beside the run's own and the controls; if not
               given, grad_cam,hires_cam,layer_cam,integrated_gradients, without those that this network makes dear
             verdicts: how often does the answer depend on what maps highlight, and does that predict a right answer?
             shortcuts: does the network go by something that is not the disease? Corners, borders, writing, what lies
             outside of the body, what maps favor, brightness, noise and sharpness are exchanged between test images. Heat
             maps only nominate; the change of probability convicts, acquits, or leaves it open.
               boxes=0:0.1,0.8:1   a further region, rows and columns as START:END in shares of the image or in pixels of
               the prepared one; several are given as boxes=... boxes=...
               least_effect=0.05   smallest change of a probability that is worth a verdict
             limits: the smallest lesion drawn into negatives that is called, and the smallest that the map points at
               limits.sizes=[3,6,12]   diameters in pixels; limits.contrast=0.3 (-1 to 1; of your own marked lesions if not
               given); limits.tolerance=4   pixels beside the lesion that count as near; limits.contrasts=[0.1,0.2,0.4]
               further contrasts, each with limits of its own, each as dear as the first; on fewer images where that is too dear
             registration: do maps lie beside the evidence, always the same way?
  cases=     test images looked at, drawn at random by the seed of the run, by tests that cost passes for each

Writes outputs/RUN_ID/explanations/<part>.json, and a section of the report page for each.

  runs=      would another training run have pointed elsewhere? Runs of several seeds judged on the same test images
             (split.file=outputs/RUN_ID/split.csv), or one folder that holds them: of a sweep, or a study over seeds
             (scanlens folds), with a cross-validation or without
  out=       where map_spread.{json,html} go; a new folder below outputs/comparisons if not given

For research, not for diagnosis.
"""

DICOM_HELP = """\
scanlens dicom run=outputs/RUN_ID [cases=N|case=test-00012] [objects=[sc,sr,pr,seg,pmap]] [keep_identity=true] [...]

Write the explained cases of a run that was trained on DICOM files (data=dicom) as DICOM objects, each of which refers to its source
image. Needs pip install 'scanlens[dicom]', and the files of the training where they were.

  cases=     no more than so many, in the order in which the run explained them; all if not given
  case=      the only one, such as case=test-00012; several are given as case=[test-00012,test-00031]
  objects=   sc,sr,pr if not given
             sc     Secondary Capture: scan and heat map side by side, which every viewer shows
             sr     Structured Report (TID 1500): class, probability, threshold, verdict, quality and contours, for machines
             pr     presentation state: contour and caption over the untouched image, to be switched off
             seg    Segmentation: the region of model evidence on the grid of the image
             pmap   Parametric Map: the map as numbers on the grid of the image
  keep_identity=   false (default): the patient is a pseudonym, UIDs are replaced, nothing is dated; an archive does not file the
             objects with their study. true: patient, study and UIDs are the true ones
  burnt_in_text=   refuse (default) images that may have text in their pixels, or allow them

Writes outputs/RUN_ID/dicom/<case>_<object>.dcm. A map with the verdict WITHHELD is drawn in none of them. What they hold, and which
viewers show it: docs/dicom.md.

Research software. Not a medical device. Not for diagnosis.
"""

ENSEMBLE_HELP = """\
scanlens ensemble runs=RUN,RUN[,...] [out=FOLDER]
scanlens ensemble run=FOLDS path=FILE_OR_FOLDER [path=...]

Take networks together: the mean of their probabilities, how uncertain it is (entropy) and how much of that they disagree
on (mutual information), both in nats.

  runs=      run folders judged on the same test images (split.file=outputs/RUN_ID/split.csv, or scanlens folds seeds=[1,2,3]).
             Writes a folder like a run's, out=outputs/NAME, with predictions, evaluation.json and a page: its calibration and
             threshold are chosen on the validation images that all runs have in common, if any. scanlens compare takes it
             beside its members.
  run=       a folder of folds. Each of its images was seen by all networks but one, so they are taken together on new images
             alone (path=...), which are refused if any network was trained on them. Writes FOLDS/new/TIME.

For research, not for diagnosis.
"""

SWEEP_HELP = """\
scanlens sweep run=outputs/RUN_ID

Gather the jobs of a sweep (python train.py -m ...) or of a search (hparams_search=optuna) as they are now: settings, status,
monitored value, test results with intervals, folder. A sweep does so by itself when it ends; ask for it while jobs wait in
Slurm, or after the command that sent them was ended.

Writes sweep.json, sweep.csv and sweep.html into the folder of the sweep.

For research, not for diagnosis.
"""

SELFTEST_HELP = """\
scanlens selftest [group=option ...] [name=value ...]

Train on drawn pictures whose right answers are known, and check that everything says them: an installation, a model or an
explanation method is certified this way. A minute or two with LeNet on one core; no data needed.

  lesion      small brain phantoms with a tumor: it has to be learned (test AUROC above 0.5) and found (the heat map points at it
              more often than chance)
  no signal   their twin whose labels are dealt at random: nothing may be found (the interval of the AUROC holds 0.5)
  shortcut    their twin with a letter in a corner of those with a tumor: the network learns it, the heat map has to leave the
              tumor, and the audit of shortcuts has to convict that corner, and not the one across

Every setting of a training command is understood (scanlens train --help) but data=, experiment= and run_dir=; the settings of
conf/experiment/selftest.yaml come before them.

  scanlens selftest                                     this installation, with LeNet
  scanlens selftest model=vgg19 trainer.max_epochs=6    another model
  scanlens selftest explain=random                      a method that knows nothing: has to fail
  scanlens selftest seed=2 run_id=second                another seed, in outputs/second

Writes outputs/RUN_ID with a run folder for each, selftest.json, selftest.html and selftest.log. Exit status: 0 passed, 1 failed,
2 mistakes in the command.

For research, not for diagnosis.
"""
