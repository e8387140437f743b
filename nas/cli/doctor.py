"""`nas doctor`: everything that a search needs, in one screen."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from nas.cli.common.printing import Row, print_document
from nas.cli.probes import extras, images, machine, network, places, terminal, tracker, versions
from nas.cli.probes.finding import Health, Probe, examine, worst
from nas.config.commands import DoctorConfig
from nas.jobs.notice import showing
from nas.reports.findings_table import findings_table


def run(config: DoctorConfig) -> int:
    """Examine the machine and the settings, print a line for each subject, and return 1 if there is a problem."""
    with showing("nas doctor: examining"):
        findings = examine(probes(config), config.timeout)
    health = worst(findings)
    document = {"health": str(health), "findings": [finding.to_json() for finding in findings]}
    print_document(document, config.format, findings_table, doctor_rows)
    return int(health == Health.PROBLEM)


def probes(config: DoctorConfig) -> Mapping[str, Probe]:
    """Return the probes by topic, in the order of their lines."""
    storage, called = config.storage, config.network
    return {
        "versions": versions.probe,
        "extras": partial(extras.probe, needed(config)),
        "processor": machine.probe_cores,
        "memory": machine.probe_memory,
        "GPUs": machine.probe_gpus,
        "training": partial(machine.probe_training, config.timeout * 0.9),
        "outputs": partial(places.probe_outputs, config.outputs),
        "database": partial(places.probe_database, storage, config.outputs, network=called),
        "cache": partial(places.probe_cache, config.data.cache),
        "data": partial(images.probe, config.data, network=called),
        "tracker": partial(tracker.probe, config.tracking),
        "network": partial(network.probe, network=called),
        "terminal": terminal.probe,
    }


def needed(config: DoctorConfig) -> list[str]:
    """Return the extras that the settings ask for."""
    named = (config.storage.kind, config.tracking.name, config.workers.name)
    return [name for name in named if name in extras.UNLOCKS]


def doctor_rows(document: Mapping[str, Any]) -> list[Row]:
    """Return the header and one row a finding."""
    columns = ("topic", "health", "text", "advice")
    return [columns, *([finding[name] for name in columns] for finding in document["findings"])]
