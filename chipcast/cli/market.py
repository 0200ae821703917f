"""Verbs of `market`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import typer

from chipcast.base.errors import InputError
from chipcast.cli.common import (
    AsOf,
    Draws,
    InUnit,
    Json,
    ScenarioName,
    Seed,
    Sets,
    check_unit,
    emit_json,
    load,
    say,
    table,
    whole,
)

WITHOUT = ("threat", "controls", "local-push")
"""What a market can be run without, on the same draws."""

Events = Annotated[list[str] | None, typer.Option(
    "--event", metavar="KEY=VALUE ...", help="A dated what-if on the same draws, such as 'on=2025-04-09 gate=us "
    "chip=h20 to=licence' or 'on=2025-06-01 gate=demand value=1.5'; may be repeated.")]

Feedback = Annotated[bool, typer.Option("--feedback", help="Let orders raise wafer starts and volume teach the line, "
                                        "round by round until they agree.")]

Without = Annotated[list[str] | None, typer.Option(
    "--without", metavar="threat|controls|local-push", help="Leave something out, on the same draws; may be repeated.")]


def register(app: typer.Typer) -> None:
    """Add the verbs of this module to the command line."""

    @app.command("market")
    def market(scenario: ScenarioName = "february-2025", without: Without = None, event: Events = None,
               feedback: Feedback = False, unit: InUnit = "", sets: Sets = [],  # noqa: B006 - typer copies it
               draws: Draws = 2000, seed: Seed = 1, as_of: AsOf = "", as_json: Json = False) -> None:
        """Who orders, gets and holds which chips, month by month, and at what price."""
        left_out, happens, counted = tuple(without or ()), tuple(event or ()), check_unit(unit)
        asked = ask(begin(load(scenario, as_of=as_of, sets=sets), draws=draws, seed=seed, events=happens,
                          without=left_out), without=left_out, events=happens, feedback=feedback)
        if as_json:
            emit_json(answer(asked, scenario=scenario, h100e=counted))
            return
        _print(asked.markets[0], without=left_out)
        if counted:
            _print_h100s(in_h100s(asked.markets[0], asked.given))
        if asked.effects:
            _print_effects(asked.effects, " and ".join((*left_out, *(f"'{e}'" for e in happens))))
        for text, why in asked.moves_nothing.items():
            say(f"'{text}' moves nothing: {why}.")
        if feedback:
            say("Feedback: the cards made changed by " + ", ".join(f"{c:.1%}" for c in asked.changes)
                + " from round to round.")

    calibrate = typer.Typer(name="calibrate", no_args_is_help=True, help="Fit a station to what was known by a date.")
    calibrate.command("market", help="Fit the market since 2022 to filed quarters; prior, posterior and contraction."
                      )(calibrate_market)
    calibrate.callback()(lambda: None)
    app.add_typer(calibrate, name="calibrate")
    app.command("backtest", help="Forecasts of past vintages held against what came: coverage, scores, skill."
                )(backtest)


def calibrate_market(as_of: AsOf = "2025-02-25", particles: Annotated[int, whole(
        "--particles", "Particles of the sampler.", least=200, most=100_000)] = 2000, seed: Seed = 1,
                     as_json: Json = False) -> None:
    from chipcast.base.calendar import parse_date
    from chipcast.base.summary import span
    from chipcast.evidence import market_fit

    found = market_fit.fit(parse_date(as_of), seed=seed, particles=particles)
    rows, now = market_fit.contraction_table(found), market_fit.now_table(found)
    if as_json:
        emit_json({"as_of": as_of, "quarters": list(found.quarters), "particles": particles, "posterior": rows,
                   "now": now, "ess": found.posterior.ess, "log_evidence": found.posterior.log_evidence,
                   "temperatures": list(found.posterior.temperatures)})
        return
    table(f"The market since 2022, fitted to {len(found.quarters)} filed quarters, reported orders and the record of "
          f"rules known on {as_of}",
          ("parameter", "unit", "prior", "posterior", "contraction", ""),
          [(r["name"], r["unit"], span(r["prior"]), span(r["posterior"]), f"{r['contraction']:.2f}",
            "prior-driven" if r["prior_driven"] else "") for r in (*rows, *now)],
          foot="contraction = 1 - var(posterior)/var(prior); under 0.2 the past said little and the assumed "
               f"range speaks. Log evidence {found.posterior.log_evidence:.2f}, {particles} particles.")


def backtest(vintage: Annotated[str, typer.Option("--vintage", metavar="DATE", help="One information date; default: "
                                                  "every day since 2023 on which a quarter was filed.")] = "",
             conditional: Annotated[bool, typer.Option("--conditional", help="Give the later path of rules as a fact."
                                                       )] = False,
             ahead: Annotated[int, whole("--ahead", "Quarters ahead.", most=6)] = 3,
             draws: Draws = 1000, seed: Seed = 1, as_json: Json = False) -> None:
    from hashlib import blake2b

    from chipcast.base.calendar import parse_date
    from chipcast.base.catalog import FIRST_VINTAGE
    from chipcast.base.summary import to_json
    from chipcast.evidence import market_fit
    from chipcast.evidence.score import summary
    from chipcast.hindcast import VINTAGES, hindcast, outcomes_after

    chosen = (parse_date(vintage),) if vintage else None
    scored = list(market_fit.backtest(conditional=conditional, ahead=ahead, seed=seed, particles=draws, chosen=chosen))
    runs = [hindcast(conditional=conditional, draws=draws, seed=seed, as_of=day) for day in chosen or VINTAGES
            if day >= FIRST_VINTAGE and outcomes_after(day)]
    in_whole = [s for run in runs for s in run.scored]
    if not scored and not in_whole:
        raise InputError(f"nothing to score: no quarter was filed after {vintage}; use a date from 2023-02-24 to "
                         "2025-11-18")
    rows = [_forecast(s, "five stocks") for s in scored] + [_forecast(s, "whole market") for s in in_whole]
    bounds, gates, times = ([x for run in runs for x in getattr(run, part)] for part in ("bounds", "gates", "times"))
    digest = blake2b(to_json(rows).encode(), digest_size=8).hexdigest()
    if as_json:
        emit_json({"conditional": conditional, "standing": "hindcast", "hash": digest,
                   "forecasts": [r | {"hash": digest} for r in rows], "summary": summary(scored) if scored else None,
                   "whole_market": summary(in_whole) if in_whole else None, "lower_bounds": list(bounds),
                   "gates": [{"what": g.what, "by": g.by, "chance": g.chance, "happened": g.happened, "brier": g.brier,
                              "log": g.log} for g in gates],
                   "times": [{"what": t.what, "came_months": t.came, "forecast_months": {
                       "p05": t.p05, "p50": t.p50, "p95": t.p95}, "crps": t.crps, "crps_of_record": t.of_record}
                             for t in times]})
        return
    path = "the later path of rules given" if conditional else "rules drawn from their hazards"
    table(f"Forecasts against outcomes, {path} (hindcasts)",
          ("vintage", "series", "period", "model", "outcome", "p05", "p50", "p95", "in 90 %", "CRPS", "last value's"),
          [(r["as_of"], r["series"], r["period"], r["model"],
            *(_figure(r[k]) for k in ("outcome", "p05", "p50", "p95")), "yes" if r["inside_90"] else "NO",
            _figure(r["crps"]), _figure(r["baselines"]["last"]) if "last" in r["baselines"] else "") for r in rows])
    for name, some in (("Five stocks", scored), ("Whole market", in_whole)):
        if some:
            s: Any = summary(some)
            say(f"{name}: {s['hits_90']} of {s['forecasts']} inside 90 % (calibrated: {s['band_90'][0]} to "
                f"{s['band_90'][1]}); skill "
                + ", ".join(f"{v:+.0%} against {k}" for k, v in s["skill"].items()) + f"; {s['power']}.")
    for b in bounds:
        say(f"{b['series']} {b['period']}: reported at least {b['at_least']:.0f}; forecast {b['p50']:.1f} "
            f"({b['p05']:.1f} to {b['p95']:.1f}), chance of that much {b['chance']:.0%}.")
    for g in gates:
        say(f"{g.what}, {g.by}: chance {g.chance:.0%}, came {'true' if g.happened else 'not true'}, "
            f"Brier {g.brier:.2f}.")
    for t in times:
        say(f"{t.what}: {t.came:.1f} came; forecast {t.p50:.1f} ({t.p05:.1f} to {t.p95:.1f}), CRPS {t.crps:.2f} "
            f"against {t.of_record:.2f} of a plain rate from the record.")
    say(f"hash {digest}")


def _figure(value: float) -> str:
    from chipcast.base.summary import short

    return f"{value:.2f}" if abs(value) < 1000 else short(value)


def _forecast(s: Any, model: str) -> dict[str, Any]:
    """Return one scored forecast as plain values."""
    return {"series": s.series, "period": s.period, "unit": "1e9", "as_of": s.vintage, "model": model, "p05": s.p05,
            "p25": s.p25, "p50": s.p50, "p75": s.p75, "p95": s.p95, "outcome": s.outcome, "outcome_kind": s.kind,
            "inside_80": s.inside_80, "inside_90": s.inside_90, "crps": s.crps, "pit": s.pit,
            "baselines": dict(s.baselines)}


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """A market as it was asked for, and the plain one beside it."""

    given: Any
    """Every number."""
    markets: tuple[Any, ...]
    """The market asked for, then the plain one where something was left out or happens."""
    without: tuple[str, ...]
    """What was left out."""
    events: tuple[str, ...]
    """Dated what-ifs, as written."""
    changes: tuple[float, ...]
    """Change of the feedback's rounds, none without it. [1] (round)"""
    feedback: bool
    """Whether the line answered the orders."""

    @property
    def effects(self) -> list[dict[str, Any]]:
        """What the thing does: with it less without it, as what is left out is missing and an event is there."""
        if len(self.markets) < 2:
            return []
        return _effects(list(self.markets[::-1] if self.events and not self.without else self.markets))

    @property
    def moves_nothing(self) -> dict[str, str]:
        """Events that move nothing, each with the reason."""
        import numpy as np

        from chipcast.market.idle import why_idle
        from chipcast.scenario import Event

        still = "no draw differs, so what it asks for holds in all of them"
        first, last = self.markets[0], self.markets[-1]
        if not self.events or not all(np.array_equal(getattr(first, n), getattr(last, n))
                                      for n in ("orders", "deliveries", "price_usd", "useful_tokens")):
            return {}
        return {text: why_idle(self.given.catalog, Event.model_validate(read_event(text)), self.markets[0].months)
                or still for text in self.events}


def begin(plain: Any, *, draws: int, seed: int, without: tuple[str, ...] = (), events: tuple[str, ...] = ()) -> Any:
    """Return the scenario resolved and conditioned; what is left out or happens is checked before that long work."""
    from chipcast import chain

    check_without(without)
    story_with(plain, events)
    return chain.prepare(plain, draws=draws, seed=seed)


def check_without(without: tuple[str, ...]) -> None:
    """Refuse a word that the market cannot be run without."""
    from chipcast.base.errors import nearest

    for word in without:
        if word not in WITHOUT:
            close = nearest(word, WITHOUT)
            hint = f"; did you mean '{close[0]}'?" if close else ";"
            raise InputError(f"--without '{word}' is unknown{hint} known: {', '.join(WITHOUT)}")


def story_with(plain: Any, events: tuple[str, ...]) -> Any:
    """Return a scenario with events written as text."""
    from chipcast.scenario import with_events

    return with_events(plain, [read_event(text) for text in events])


def ask(ready: Any, *, without: tuple[str, ...] = (), events: tuple[str, ...] = (), feedback: bool = False,
        base: Any = None) -> Asked:
    """Run the market on a prepared scenario, and the plain one beside it where something is left out or happens.

    Parameters
    ----------
    base : World, optional
        The plain world of the same scenario and draws, where it is at hand: what it shares is not computed again.
    """
    from dataclasses import replace

    from chipcast import chain

    check_without(without)
    story = story_with(ready.setting.scenario, events)
    setting = replace(ready.setting, threat="threat" not in without, controls="controls" not in without,
                      local_push="local-push" not in without)
    if events:
        setting = replace(setting, scenario=story)  # what-ifs act on the market day by day, beside the law
    runs = [setting] if setting == ready.setting else [setting, ready.setting]
    changes: tuple[float, ...] = ()
    if feedback:
        settled = [chain.settle(s, ready.given) for s in runs]
        markets, changes = [s.world.market for s in settled], settled[0].changes
    else:
        like = None if any(e.gate in chain.UPSTREAM for e in story.events) else base  # such a gate moves the line too
        markets = [base.market if base is not None and s is ready.setting else
                   chain.trade(s, ready.given, like=like).market for s in runs]
    return Asked(given=ready.given, markets=tuple(markets), without=without, events=events, changes=changes,
                 feedback=feedback)


def answer(asked: Asked, *, scenario: str, h100e: bool = False) -> dict[str, Any]:
    """Return the JSON object of a market that was asked for."""
    return (payload(asked.markets[0], scenario=scenario, given=asked.given, without=asked.without)
            | ({"events": list(asked.events)} if asked.events else {})
            | ({"effects": asked.effects} if len(asked.markets) > 1 else {})
            | ({"moves_nothing": still} if (still := asked.moves_nothing) else {})
            | ({"h100e": in_h100s(asked.markets[0], asked.given)} if h100e else {})
            | ({"feedback": {"changes": list(asked.changes)}} if asked.feedback else {}))


def read_event(text: str) -> dict[str, str]:
    """Return the keys of an event written as `key=value` words."""
    pairs: dict[str, str] = {}
    for word in text.replace(",", " ").split():
        key, sign, value = word.partition("=")
        if not sign or not value or key in pairs:
            raise InputError(f"--event '{text}': '{word}' is no key=value of its own; write for example "
                             "'on=2025-04-09 gate=us chip=h20 to=licence'")
        pairs[key] = value
    return pairs


def _effects(results: list[Any]) -> list[dict[str, Any]]:
    """Return what the thing left out does: the full run less the other, draw by draw."""
    from chipcast.market.effect import paired

    return [e.as_row() for e in paired(results[-1], results[0])]


def _print_effects(effects: list[dict[str, Any]], what: str) -> None:
    from chipcast.base.summary import span

    table(f"What {what} does: with less without, paired draw by draw",
          ("quantity", "unit", "year", "effect", "more in", "less in"),
          [(e["name"], e["unit"], e["year"], span(e["effect"]), f"{e['p_positive']:.0%}", f"{e['p_negative']:.0%}")
           for e in effects])


def payload(market: Any, *, scenario: str, given: Any, without: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return the JSON object of a market: intervals by month."""
    from chipcast.base.summary import intervals

    def by_buyer(cells: Any) -> dict[str, Any]:
        return {s: {c: intervals(cells[i, k]) for k, c in enumerate(market.chips)}
                for i, s in enumerate(market.segments)}

    def by_chip(cells: Any) -> dict[str, Any]:
        return {c: intervals(cells[k]) for k, c in enumerate(market.chips)}

    return {
        "scenario": scenario, "as_of": str(given.as_of), "draws": given.draws, "without": list(without),
        "months": list(market.months), "orders": by_buyer(market.orders), "deliveries": by_buyer(market.deliveries),
        "stocks": by_buyer(market.stocks), "price_usd": by_chip(market.price_usd), "fill": by_chip(market.fill),
        "lead_time_days": by_chip(market.lead_time_days),
        "shipped": by_chip(market.shipped), "under_way": by_chip(market.under_way),
        "written_down_usd": by_chip(market.written_down_usd),
        "leased_abroad": {s: intervals(market.leased_abroad[i]) for i, s in enumerate(market.segments)},
        "idle_share": {s: intervals(market.idle_share[i]) for i, s in enumerate(market.segments)},
        "short_share": {s: intervals(market.short_share[i]) for i, s in enumerate(market.segments)},
        "spent_usd": {s: intervals(market.spent_usd[i]) for i, s in enumerate(market.segments)},
        "cover_months": {s: intervals(market.cover_months[i]) for i, s in enumerate(market.segments)},
        "us_open": by_chip(market.us_open), "cn_open": by_chip(market.cn_open),
        "domestic_share": {"cards": intervals(market.domestic_share_cards),
                           "tokens": intervals(market.domestic_share_tokens)},
        "useful_tokens": {s: intervals(market.useful_tokens[i]) for i, s in enumerate(market.segments)},
        "unserved_tokens": {s: intervals(market.unserved_tokens[i]) for i, s in enumerate(market.segments)},
        "books": market.books,
    }


def in_h100s(market: Any, given: Any) -> dict[str, Any]:
    """Return what was delivered and what is kept in stock, by quarter and chip, in H100-equivalents."""
    import numpy as np

    from chipcast.base.calendar import places_by_quarter
    from chipcast.base.summary import intervals
    from chipcast.chip.equivalent import MEANING, h100_equivalents
    from chipcast.market.record import DOMESTIC

    worth = h100_equivalents(given, market.chips)
    home = np.array([float(c in DOMESTIC) for c in market.chips])
    quarters = places_by_quarter(market.months)

    def by_quarter(cells: Any, *, ends: bool) -> dict[str, Any]:
        cards = [cells[..., i[-1], :] if ends else cells[..., i, :].sum(axis=-2) for i in quarters.values()]
        compute = np.stack([c.sum(axis=0) * worth for c in cards])
        rows = {c: compute[:, k] for k, c in enumerate(market.chips)}
        rows |= {"all": compute.sum(axis=1), "domestic": (compute * home[:, None]).sum(axis=1)}
        return {name: intervals(values) for name, values in rows.items()}

    return {"unit": "H100-equivalents", "meaning": MEANING, "quarters": list(quarters),
            "per_card": {c: intervals(worth[k][None])[0] for k, c in enumerate(market.chips)},
            "delivered": by_quarter(market.deliveries, ends=False), "in_stock": by_quarter(market.stocks, ends=True)}


def _print_h100s(cards: dict[str, Any]) -> None:
    from chipcast.base.summary import span

    shown = cards["quarters"][:5]
    for title, key in (("Delivered", "delivered"), ("Kept in stock at the end", "in_stock")):
        table(f"{title}, in H100-equivalents (a second unit)", ("chip", *shown),
              [(name, *(span(v) for v in values[:5])) for name, values in cards[key].items()])
    say(f"Here {cards['meaning']}.")


def _print(market: Any, *, without: tuple[str, ...]) -> None:
    """Print orders, deliveries and stocks by chip and by buyer over the first two years."""
    from chipcast.base.calendar import places_by_quarter
    from chipcast.base.summary import span

    quarters = places_by_quarter(market.months)
    shown = list(quarters)[:5]
    note = f" without {', '.join(without)}" if without else ""
    names = [f"{q} ({len(quarters[q])} m)" if len(quarters[q]) < 3 else q for q in shown]
    for title, cells in (("Cards ordered", market.orders), ("Cards delivered", market.deliveries)):
        table(f"{title} by chip{note}, median (5 % to 95 %)", ("chip", *names),
              [(c, *(span(cells[:, k, quarters[q]].sum((0, 1)).round()) for q in shown))
               for k, c in enumerate(market.chips)])
    columns = ("buyer", "ordered", "delivered", "foreign stock at end", "cover wanted, months", "tokens served")
    table(f"Buyers in their first six months{note}", columns,
          [(s, span(market.orders[i, :, :6].sum((0, 1))), span(market.deliveries[i, :, :6].sum((0, 1))),
            span(market.stocks[i, :3, min(5, len(market.months) - 1)].sum(0)), span(market.cover_months[i, 0]),
            _percent(market.useful_tokens[i, :6].sum(0), market.unserved_tokens[i, :6].sum(0)))
           for i, s in enumerate(market.segments)])
    ends = [quarters[q][-1] for q in shown]
    both = market.us_open[0] * market.cn_open[0]
    table("Market at the end of each quarter", ("", *names),
          [("H20 price, USD", *(span(market.price_usd[0, i]) for i in ends)),
           ("US gate open to H20", *(f"{market.us_open[0, i].mean():.0%}" for i in ends)),
           ("both gates open", *(f"{both[i].mean():.0%}" for i in ends)),
           ("domestic cards", *(span(market.domestic_share_cards[i]) for i in ends)),
           ("domestic tokens/s", *(span(market.domestic_share_tokens[i]) for i in ends))])
    say(f"Books balance to {max(market.books.values()):.1e} of scale; "
        f"months {market.months[0]} to {market.months[-1]}.")


def _percent(useful: Any, unserved: Any) -> str:
    import numpy as np

    share = np.quantile(useful / np.maximum(useful + unserved, 1e-30), [0.05, 0.5, 0.95])
    return f"{share[1]:.0%} ({share[0]:.0%} to {share[2]:.0%})"
