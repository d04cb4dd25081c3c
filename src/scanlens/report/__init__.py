"""The report of a run, rendered from its run folder alone, without torch.

`folder` reads and checks what a run left behind; `pictures` and `charts` draw; `words` turns numbers into
sentences; `page` writes `report/index.html`; `summary` the closing table of the terminal.
"""
