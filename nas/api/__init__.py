"""Python interface: a search on images of your own, studies and their networks as objects, a scikit-learn classifier.

    from nas import InceptionClassifier, Network, Study, search

    study = search(images, labels, space="quick", limits={"max_macs": 1e6}, budget={"trials": 40})
    study = Study("digits-quick")
    study.front()
    network = study.pick("best", max_macs=1e5)
    network.export("handover")

A search works in a script, a notebook, `python -`, a thread and a daemonic process. Trainings run in processes that do
not import the calling script, unless its own functions are plug-ins; then the search must stand below
`if __name__ == "__main__":`. Ctrl-C and SIGTERM stop it in an orderly way if it runs in the main thread.
"""

from __future__ import annotations

from nas.api.classifier import InceptionClassifier
from nas.api.network import Network
from nas.api.search import search
from nas.api.study import Study

__all__ = ["InceptionClassifier", "Network", "Study", "search"]
