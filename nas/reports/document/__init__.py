"""Document of a study: everything that its page shows, as one JSON value, for the report and the live page alike."""

from __future__ import annotations

from nas.reports.document.assessment import Assessment, assess
from nas.reports.document.context import ReportContext
from nas.reports.document.maker import DocumentMaker, study_document

__all__ = ["Assessment", "DocumentMaker", "ReportContext", "assess", "study_document"]
