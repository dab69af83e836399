"""The errors that are foreseen: what cannot be used, and what broke and may be tried again. Each says what helps."""

from __future__ import annotations

from pydantic import ValidationError

from infra.prefect.access import AccessError
from infra.prefect.local import ServerError
from infra.ray.build_job import RefusedError
from infra.ray.job import JobError
from infra.ray.poison import WorkerError
from infra.ray.session import ClusterError
from rl.engines.base import EngineError
from rl.evaluation.ground import GroundError
from rl.evaluation.protocols import ProtocolError
from rl.evaluation.regression import DropError, NightlyError
from rl.evaluation.sweep import SweepError
from rl.models.families import ModelError
from rl.paper.numbers import PaperError
from rl.prompts.templates import PromptError
from rl.rewards import RewardError
from rl.training.errors import TrainingError
from rl.training.plan import RowsError
from rl.training.recipe import RecipeError
from storage.commit import RecordError, TableError
from storage.folders.files import BusyError
from storage.folders.folder import ConflictError, StoreError
from storage.manifest import DatasetError
from storage.rle import CountsError
from tasks.benchmarks.samples import AnnotationError
from tasks.build.requeue import RequeueError
from tasks.exchange.base import FormatError
from tasks.metrics.cases import ScoreError
from tasks.metrics.predictions import PredictionsError
from tasks.video.diagnosis import VideoError
from tasks.weights import WeightsError

BAD_INPUT = (
    AnnotationError, DatasetError, RecordError, TableError, WeightsError, ValidationError, BusyError, VideoError, ScoreError,
    PredictionsError, RequeueError, CountsError, AccessError, ClusterError, RefusedError,
    ModelError, ProtocolError, PromptError, GroundError, RewardError, RowsError, RecipeError,
    SweepError, NightlyError, PaperError, FormatError,
)  # fmt: skip
"""The input cannot be used: exit code 2, and never tried again."""

BROKEN = (WorkerError, JobError, StoreError, ConflictError, ServerError, EngineError, TrainingError, DropError)
"""The run failed: exit code 1; what was done stays, and another try may help."""
