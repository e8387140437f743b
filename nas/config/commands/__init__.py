"""Configuration of every command: one class a command, made of the classes of the config groups.

The classes know nothing of the YAML files and overrides that they are composed from.
"""

from __future__ import annotations

from collections.abc import Mapping

from nas.config.commands.exported import EvaluateConfig, FinetuneConfig, PredictConfig
from nas.config.commands.networks import ExportConfig, PickConfig, RetrainConfig
from nas.config.commands.search import DescribeConfig, DoctorConfig, EstimateConfig, MeasureConfig, SearchConfig
from nas.config.commands.study import (
    CompareConfig,
    DashboardConfig,
    FiguresConfig,
    FrontConfig,
    ImportConfig,
    ReadConfig,
    ReportConfig,
    StatusConfig,
    StopConfig,
    StudiesConfig,
    SyncConfig,
    UiConfig,
)
from nas.config.commands.tables import RehearseConfig, TabulateConfig

__all__ = [
    "ROOTS",
    "CompareConfig",
    "DashboardConfig",
    "DescribeConfig",
    "DoctorConfig",
    "EstimateConfig",
    "EvaluateConfig",
    "ExportConfig",
    "FiguresConfig",
    "FinetuneConfig",
    "FrontConfig",
    "ImportConfig",
    "MeasureConfig",
    "PickConfig",
    "PredictConfig",
    "ReadConfig",
    "RehearseConfig",
    "ReportConfig",
    "RetrainConfig",
    "SearchConfig",
    "StatusConfig",
    "StopConfig",
    "StudiesConfig",
    "SyncConfig",
    "TabulateConfig",
    "UiConfig",
]

ROOTS: Mapping[str, type] = {
    "search": SearchConfig,
    "status": StatusConfig,
    "stop": StopConfig,
    "front": FrontConfig,
    "studies": StudiesConfig,
    "compare": CompareConfig,
    "report": ReportConfig,
    "figures": FiguresConfig,
    "ui": UiConfig,
    "dashboard": DashboardConfig,
    "sync": SyncConfig,
    "import": ImportConfig,
    "describe": DescribeConfig,
    "estimate": EstimateConfig,
    "measure": MeasureConfig,
    "retrain": RetrainConfig,
    "export": ExportConfig,
    "evaluate": EvaluateConfig,
    "predict": PredictConfig,
    "finetune": FinetuneConfig,
    "tabulate": TabulateConfig,
    "rehearse": RehearseConfig,
    "doctor": DoctorConfig,
}
"""The class of every command by the command's name."""
