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
from rl.ground import GroundError
from rl.models import ModelError
from rl.nightly import DropError, NightlyError
from rl.paper import PaperError
from rl.prompts import PromptError
from rl.protocols import ProtocolError
from rl.rewards import RewardError
from rl.sweep import SweepError
from rl.training.errors import TrainingError
from rl.training.plan import RowsError
from rl.training.recipe import RecipeError
from storage.bundles import RecordError, TableError
from storage.files import BusyError
from storage.folder import ConflictError, StoreError
from storage.manifest import DatasetError
from storage.rle import CountsError
from tasks.datasets.base import AnnotationError
from tasks.diagnose import VideoError
from tasks.formats.base import FormatError
from tasks.metrics.cases import ScoreError
from tasks.predictions import PredictionsError
from tasks.requeue import RequeueError
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
