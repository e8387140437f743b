"""Weights of networks in a study, and predictions with them."""

from __future__ import annotations

import logging
from dataclasses import replace

import torch

from nas.cli.app.stored_files import stored_settings
from nas.data import DataSpec, load
from nas.exports.deployed import Deployed
from nas.exports.predictors import Predictor, predict_of
from nas.exports.trained_weights import ChosenCheckpoint, check_average, choose_checkpoint, data_of
from nas.search.fingerprint import study_data
from nas.study.study import Study
from nas.study.trial import Record
from search_space.graph import Graph
from search_space.network import Network, build

log = logging.getLogger(__name__)


def fresh_module(graph: Graph, seed: int) -> Network:
    """Return a network with fresh weights of a seed, and leave torch's random state as it is."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return build(graph)


def trained_module(study: Study, record: Record) -> Network:
    """Return the network of a trial with the best weights that there are, in evaluation mode.

    Averaged weights are compared with the last ones on the validation part, as for an export; where the images are
    gone, the averaged ones are taken with a warning.

    Raises:
        ValueError: there are no weights.
    """
    chosen = choose_checkpoint(study, record)
    if not chosen.trained.averaged:
        return chosen.trained.network
    try:
        spec = _images(study)
    except (ValueError, OSError) as error:
        log.warning("the averaged weights of trial %d were not compared with the last ones: %s", record.number, error)
        return chosen.trained.network
    return _compared(chosen, record, spec).trained.network


def predictor_of(study: Study, record: Record) -> Predictor:
    """Return the network of a trial with its best weights and its preprocessing.

    Raises:
        ValueError: there are no weights, or the study's images are gone.
    """
    spec = _images(study)
    chosen = _compared(choose_checkpoint(study, record), record, spec)
    data = load(replace(data_of(chosen, spec), streaming="always"))  # for mean and deviation of its images
    module = Deployed(chosen.trained.network, {"mean": data.mean, "std": data.std}, data.shape)
    return Predictor(chosen.checkpoint, tuple(data.classes), data.shape, predict_of(module))


def _images(study: Study) -> DataSpec:
    return study_data(study, stored_settings(study).get("data", {}), None)[0]


def _compared(chosen: ChosenCheckpoint, record: Record, spec: DataSpec) -> ChosenCheckpoint:
    return check_average(chosen, record, data_of(chosen, spec))
