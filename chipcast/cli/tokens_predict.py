"""`tokens predict` and `tokens fit`: any configuration with an interval, and one's own measurements."""

from __future__ import annotations

from typing import Annotated

import typer

from chipcast.cli.common import AsOf, Json, Seed, emit_json, note, table
from chipcast.cli.tokens_words import read_rows, read_text, write_text


def register(app: typer.Typer) -> None:
    """Add the verbs."""
    app.command()(predict)
    app.command()(fit)


def predict(file: Annotated[str, typer.Argument(metavar="CSV", help="Rows in the columns of measurements.csv.")],
            out: Annotated[str, typer.Option("-o", "--out", help="Where to write; default: a table.")] = "",
            posterior: Annotated[str, typer.Option("--posterior", help="Own fit, made by `tokens fit`.")] = "",
            as_of: AsOf = "", seed: Seed = 1, json: Json = False) -> None:
    """Predict every row of a CSV with an interval, an evidence grade and what was assumed."""
    from chipcast.cli.common import catalogue
    from chipcast.tokens.fit import from_text
    from chipcast.tokens.predict import predict as predict_rows

    rows = read_rows(file)
    own = from_text(read_text(posterior)) if posterior else None
    answers = [p.row() for p in predict_rows(rows, catalogue(as_of), posterior=own, seed=seed)]
    if out:
        import csv
        import io

        lines = io.StringIO()
        writer = csv.DictWriter(lines, list(answers[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows({k: "" if v != v else v for k, v in a.items()} for a in answers)
        write_text(out, lines.getvalue())
        note(f"{sum(not a['error'] for a in answers)} of {len(answers)} rows answered, in {out}")
    if json:
        emit_json({"rows": answers})
    elif not out:
        from chipcast.base.summary import short

        table("predictions", ("id", "median", "5th to 95th percentile", "grade", "bound by", "note"),
              [(a["id"], short(a["p50"]), f"{short(a['p05'])} to {short(a['p95'])}", a["grade"], a["bound_by"],
                a["error"] or a["assumed"]) for a in answers])


def fit(file: Annotated[str, typer.Argument(metavar="[CSV]", help="Own measurements, same columns.")] = "",
        out: Annotated[str, typer.Option("-o", "--out", help="Where to write the posterior.")] = "",
        rebuild: Annotated[bool, typer.Option("--rebuild", help="Make the shipped fits and their page anew.")] = False,
        as_of: AsOf = "", json: Json = False) -> None:
    """Sharpen the beliefs with own measurements, beside those that ship."""
    from chipcast.base.errors import InputError
    from chipcast.cli.common import catalogue
    from chipcast.tokens.fit import fit as fit_rows
    from chipcast.tokens.fit import rows_ready, to_text
    from chipcast.tokens.predict import shipped_posterior
    from chipcast.tokens.validate import cases, operations

    if rebuild:
        from chipcast.cli.tokens_rebuild import rebuild as make_anew

        make_anew()
        return
    if not file:
        raise InputError("name a CSV of measurements, or --rebuild for the shipped fits")
    catalog = catalogue(as_of)
    mine, refused = rows_ready([{"source_id": "own", "quality": "A", **{k: v for k, v in r.items() if v}}
                                for r in read_rows(file)], catalog)
    if not mine:
        raise InputError(f"no row of '{file}' can be used; the first: {refused[0][1]}")
    usable, _, _ = cases(catalog)
    before = shipped_posterior("latest")
    start = dict(zip(before.names, before.mean, strict=True))
    known = fit_rows([*usable, *mine], as_of=str(catalog.as_of), start=start, kernels=operations(catalog))
    from dataclasses import replace

    known = replace(known, widen=before.widen)
    moved = sorted(((n, float(m) - start.get(n, 0.0)) for n, m in zip(known.names, known.mean, strict=True)),
                   key=lambda x: -abs(x[1]))[:10]
    if out:
        write_text(out, to_text(known) + "\n")
    if json:
        emit_json({"rows": len(mine), "refused": [{"id": i, "why": w} for i, w in refused], "hash": known.digest,
                   "moved": [{"name": n, "by": d} for n, d in moved]})
        return
    table(f"{len(mine)} rows used, {len(refused)} refused", ("belief", "moved by, standard deviations of its prior"),
          [(n, f"{d:+.2f}") for n, d in moved], foot="; ".join(f"{i}: {w}" for i, w in refused[:5]))
