"""Prefect's UI as a person uses it: forms, runs, artifacts. What its tests and the pictures of the documentation share."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from infra.prefect.access import ask

_READ_FORM = """() => [...document.querySelectorAll('.schema-form-properties > .schema-form-property')].map(field => {
  const input = field.querySelector('textarea, input');
  return {
    title: field.querySelector('.schema-form-property__label').innerText,
    sentence: field.querySelector('.schema-form-property__description').innerText,
    value: input?.type === 'checkbox' ? String(input.checked)
      : input?.value || field.querySelector('.schema-form-property__fields').innerText,
  };
})"""


class ControlRoom:
    """A page of the UI that the environment of `infra.prefect.access.prefect_environment` reaches; it is entered at once."""

    def __init__(self, page: Any, env: Mapping[str, str]) -> None:
        self.page, self._env = page, env
        self._base = env["PREFECT_API_URL"].removesuffix("/api")
        page.goto(self._base)
        page.locator("input[type=password]").fill(env["PREFECT_API_AUTH_STRING"])
        page.keyboard.press("Enter")
        page.locator("input[type=password]").wait_for(state="detached")

    def deployment(self, name: str, then: str = "") -> dict[str, Any]:
        """Open the page of a deployment, or its form with `/run`; what the API says of it."""
        found: dict[str, Any] = ask(self._env, f"deployments/name/{name}")
        self.page.goto(f"{self._base}/deployments/deployment/{found['id']}{then}")
        self.page.get_by_text(found["name"], exact=True).first.wait_for()
        return found

    def form(self, name: str) -> dict[str, Any]:
        """Open the form of a deployment; its schema."""
        schema: dict[str, Any] = self.deployment(name, "/run")["parameter_openapi_schema"]
        title = next(iter(schema["properties"].values()))["title"]
        self.page.locator(".schema-form-property__label", has_text=title).first.wait_for()
        return schema

    def fields(self) -> list[tuple[str, str, str]]:
        """(title, sentence, value) of each field and group of the form, as they are seen; a group comes before its fields."""
        read = self.page.evaluate(_READ_FORM)
        return [
            (field["title"].removesuffix(" (Optional)"), field["sentence"].strip(), field["value"].strip()) for field in read
        ]

    def fill(self, title: str, value: object) -> None:
        """Write a value into a field of the form."""
        label = self.page.locator(".schema-form-property__label", has_text=re.compile(rf"^{re.escape(title)}( \(Optional\))?$"))
        field = self.page.locator(".schema-form-properties > .schema-form-property", has=label)
        field.last.locator("textarea, input").first.fill(str(value))  # the last is the innermost

    def submit(self) -> Any:
        """Send the form; what the server answers: the flow run, or why it refuses."""
        with self.page.expect_response(lambda response: response.url.endswith("/create_flow_run")) as answered:
            self.page.get_by_role("button", name="Submit").click()
        return answered.value.json()

    def run(self, run_id: str, tab: str = "") -> None:
        """Open the page of a flow run, and one of its tabs."""
        self.page.goto(f"{self._base}/runs/flow-run/{run_id}")
        self.page.get_by_text("Task Runs", exact=True).wait_for()
        if tab:
            self.page.get_by_text(tab, exact=True).click()

    def artifact(self, artifact: Mapping[str, Any]) -> str:
        """Open the page of an artifact; the text that it shows."""
        self.page.goto(f"{self._base}/artifacts/artifact/{artifact['id']}")
        self.page.get_by_text(artifact["key"], exact=True).first.wait_for()
        self.page.wait_for_load_state("networkidle")
        return str(self.page.inner_text("body"))

    def cancel(self, run_id: str) -> None:
        """Cancel a flow run from its page."""
        self.run(run_id)
        self.page.get_by_role("button", name="Cancel").first.click()
        self.page.get_by_role("button", name="Confirm").click()
