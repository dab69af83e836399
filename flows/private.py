"""Private members of Prefect, each checked when it is used: Prefect has no public way to do the same."""

from __future__ import annotations

from importlib.metadata import version

from prefect.deployments.runner import RunnerDeployment
from prefect.utilities.callables import ParameterSchema


def set_form(deployment: RunnerDeployment, form: ParameterSchema) -> None:
    """Replace the form that Prefect derived from the flow's signature, which lacks titles and descriptions.

    Raises:
        RuntimeError: the installed Prefect keeps the form elsewhere.
    """
    if not isinstance(getattr(deployment, "_parameter_openapi_schema", None), ParameterSchema):
        raise RuntimeError(f"Prefect {version('prefect')} keeps the form of a deployment elsewhere: adapt flows/private.py")
    deployment._parameter_openapi_schema = form
