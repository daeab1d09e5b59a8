"""GradientSpawner: the one order of a start and of a stop, for every engine."""

from collections.abc import Mapping
from typing import NoReturn

from jupyterhub.spawner import Spawner
from jupyterhub.utils import maybe_future

from ..ledger import LedgerAway, notebooks
from ..rules.lease import Claim, Lease
from ..rules.options import options_from_form, parse_options
from ..rules.refusal import Refused, ledger_away
from . import spawn_form
from .refused import StartRefused
from .start_order import StartOrder, url_of

__all__ = ["Claim", "GradientSpawner", "Lease", "url_of"]


class GradientSpawner(StartOrder, Spawner):
    """Put left of an engine's spawner: `class GradientXSpawner(GradientSpawner, XSpawner)`.

    A start is admitted in `run_pre_spawn_hook`, after the deployer's own hook, waits there for
    its turn, and is written down before each step of `start`. A stop ends the bill at once and
    frees devices when the engine says gone. `EngineSpawner` says what an engine's spawner
    overrides.
    """

    async def delete_forever(self) -> None:
        """Mark the notebook as deleted, with its server or its user. Its folder is kept."""
        context = self.context
        try:
            if account := await self.find_account():
                await context.ledger.awrite(
                    notebooks.delete,
                    account_id=account.id,
                    server_name=self.name,
                    now=context.clock(),
                )
        finally:
            await maybe_future(super().delete_forever())

    async def rename(self, old_name: str, new_name: str) -> None:
        """Follow the hub's rename of the server. The notebook and its folder stay the same."""
        await maybe_future(super().rename(old_name, new_name))
        context = self.context
        try:
            notebook = await self.find_notebook(old_name)
            if notebook is not None:
                await context.ledger.awrite(notebooks.rename, notebook.id, server_name=new_name)
        except LedgerAway as away:
            raise StartRefused(ledger_away("No notebook can be renamed now")) from away

    def options_from_form(self, formdata: Mapping[str, list[str]]) -> dict[str, object]:
        """Parse the posted form into options, once, so that nonsense is never stored."""
        try:
            return parse_options(options_from_form(formdata)).as_json()
        except Refused as refused:
            raise StartRefused(refused) from None

    def options_from_query(self, query: Mapping[str, list[str]]) -> NoReturn:
        """Refuse a link's options here: they prefill the form, which our own handler renders."""
        raise StartRefused(
            Refused("bad_option", "A link only fills in the form.", "Look it over and press Start.")
        )

    async def get_options_form(self) -> str:
        """Return the spawn form. JupyterHub takes an empty one for "start at once"."""
        return await spawn_form.render_fields(self)
