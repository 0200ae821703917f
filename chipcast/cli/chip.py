"""Verbs of `chip`: the catalogue, every figure with its source."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from chipcast.base.errors import InputError
from chipcast.cli.common import AsOf, Json, catalogue, emit_json, say, table

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None,
                  help="Chips and their figures: rates, memory, links, power, price, each with its source.")

HEAD = (("fp16_tflops", "FP16 TFLOPS"), ("fp8_tflops", "FP8 TFLOPS"), ("mem_gb", "GB"), ("mem_bw_gb_s", "GB/s"),
        ("scaleup_gb_s_per_direction", "link GB/s"), ("tdp_w", "W"), ("price_usd", "USD"))
"""Figures of the short tables."""


def _field(fact: Any) -> dict[str, Any]:
    out: dict[str, Any] = {"value": fact.value if fact.low == fact.high else [fact.low, fact.high], "unit": fact.unit,
                           "source": fact.source, "kind": fact.kind, "as_of": fact.as_of, "known_by": fact.known_by}
    return {**out, "note": fact.note} if fact.note else out


def _show(fact: Any) -> str:
    from chipcast.base.summary import short

    if fact is None:
        return "unknown"
    return short(fact.value) if fact.low == fact.high else f"{short(fact.low)} to {short(fact.high)}"


@app.command("list", help="List the chips known by a date.")
def list_chips(vendor: Annotated[str, typer.Option("--vendor", help="Only chips of this vendor.")] = "",
               as_of: AsOf = "", json: Json = False) -> None:
    from chipcast.base.errors import unknown

    catalog = catalogue(as_of)
    chips = [catalog.chip_names(item) for item in catalog.chip_ids()]
    vendors = sorted({c["vendor"] for c in chips})
    if vendor:
        if vendor.lower() not in {v.lower() for v in vendors}:
            unknown("vendor", vendor, vendors)
        chips = [c for c in chips if c["vendor"].lower() == vendor.lower()]
    facts = {c["item"]: catalog.chip_facts(c["item"]) for c in chips}
    if json:
        emit_json({"as_of": str(catalog.as_of), "chips": [
            {"id": c["item"], "vendor": c["vendor"], "model": c["model"], "known_by": c["known_by"],
             **{k: facts[c["item"]][k].value if k in facts[c["item"]] else None for k, _ in HEAD}} for c in chips]})
        return
    table(f"{len(chips)} chips known on {catalog.as_of}", ["id", "vendor", *[h for _, h in HEAD]],
          [[c["item"], c["vendor"], *[_show(facts[c["item"]].get(k)) for k, _ in HEAD]] for c in chips],
          foot="Dense rates of the matrix units; links in one direction. Details: chipcast chip show ID")


@app.command(help="Show every figure of a chip with unit, kind, source and dates.")
def show(name: Annotated[str, typer.Argument(metavar="ID")], as_of: AsOf = "", json: Json = False) -> None:
    from chipcast.base.catalog import last_known, read_table, sources
    from chipcast.chip.compare import status_of
    from chipcast.chip.formats import mixture

    catalog = catalogue(as_of)
    if mix := mixture(name):
        _show_mixture(mix, catalog, json)
        return
    item = catalog.resolve_chip(name)
    names, facts = catalog.chip_names(item), catalog.chip_facts(item)
    columns = list(dict.fromkeys(r["name"] for r in read_table("chips") if r["name"] != "name"))
    unknown_fields = [c for c in columns if c not in facts]
    text = {k: names[k] or "unknown" for k in ("vendor", "model", "process", "foundry", "mem_type", "scaleup_link",
                                               "confidence")}
    status = status_of(catalog, item)
    remark = names["note"] if catalog.as_of >= last_known() else ""
    derived = _derived(catalog, item)
    if json:
        used = sorted({f.source for f in facts.values()})
        names_of = sorted(r["alias"] for r in read_table("aliases") if r["item"] == item)
        emit_json({"id": item, "aliases": names_of, **text, "status": status or None, "known_by": names["known_by"],
                   "as_of": str(catalog.as_of), "note": remark,
                   "fields": {k: _field(f) for k, f in facts.items()}, "derived": derived, "unknown": unknown_fields,
                   "sources": {k: {"title": sources()[k]["title"], "url": sources()[k]["url"]} for k in used}})
        return
    say(f"{names['model']} ({item}), {names['vendor']}; {status + '; ' if status else ''}known by {names['known_by']}")
    rows = [[k, _show(f), f.unit, f.kind, f.known_by, f.source] for k, f in facts.items()]
    rows += [[k, v["value"], v["unit"], "derived", "", v["how"]] for k, v in derived.items()]
    table("", ["figure", "value", "unit", "kind", "known by", "source"], rows)
    if unknown_fields:
        say(f"unknown on {catalog.as_of}: {', '.join(unknown_fields)}")
    if remark:
        say(f"note: {remark}")


def _derived(catalog: Any, item: str) -> dict[str, Any]:
    """Return the vendor's own count next to the matrix figure, where they differ."""
    from chipcast.chip.bins import vendor_extra

    extra, facts = vendor_extra(catalog, item), catalog.chip_facts(item)
    if not extra or "fp16_tflops" not in facts:
        return {}
    return {"vendor_fp16_tflops": {"value": round(facts["fp16_tflops"].value * (1 + extra), 1), "unit": "TFLOPS",
                                   "how": "matrix and vector units together, as the vendor advertises"}}


def _show_mixture(item: str, catalog: Any, json: bool) -> None:
    from chipcast.chip import spec
    from chipcast.cli.common import given

    loaded = given(as_of=str(max(catalog.as_of, _first_vintage())))
    shares = spec.weights(loaded, item)
    reasons = {b: loaded.row(f"{item}.bin_weight_{b[-2:]}") for b in shares}
    bins = {b: catalog.chip_facts(b) for b in shares}
    if json:
        emit_json({"id": item, "as_of": str(catalog.as_of), "bins": [
            {"id": b, "weight": {"value": w, "kind": reasons[b].kind, "source": reasons[b].source,
                                 "why": reasons[b].why},
             "fields": {k: _field(f) for k, f in bins[b].items()}} for b, w in shares.items()]})
        return
    say(f"{item} names no bin; it stands for a mixture of these, one bin a draw. Ask for a bin to be exact.")
    table("", ["bin", "weight", *[h for _, h in HEAD]],
          [[b, f"{w:.0%}", *[_show(bins[b].get(k)) for k, _ in HEAD]] for b, w in shares.items()],
          foot="Weights are assumed: " + reasons[next(iter(shares))].why)


def _first_vintage() -> Any:
    from chipcast.base.catalog import FIRST_VINTAGE

    return FIRST_VINTAGE


@app.command(help="Compare chips side by side, as shares of the first.")
def compare(names: Annotated[list[str], typer.Argument(metavar="A B ...")], as_of: AsOf = "",
            json: Json = False) -> None:
    from chipcast.chip.compare import compare as work
    from chipcast.chip.formats import mixture

    if len(names) < 2:
        raise InputError("compare needs two chips or more, for example: chipcast chip compare h20 910c")
    catalog = catalogue(as_of)
    result = work(catalog, [mixture(n) or catalog.resolve_chip(n) for n in names])
    if json:
        emit_json({"as_of": str(catalog.as_of), **result})
        return
    ids = result["chips"]
    lines = []
    for row in result["rows"]:
        cells = []
        for chip, entry in zip(ids, row["values"], strict=True):
            if entry["value"] is None:
                cells.append("unknown")
                continue
            ratio = "" if chip == ids[0] or entry["ratio"] is None else f" ({entry['ratio']:.2f}x)"
            cells.append(entry["text"] + ratio)
        lines.append([f"{row['label']} [{row['unit']}]", *cells])
    table(f"Chips as known on {catalog.as_of}; in brackets against {ids[0]}", ["figure", *ids], lines,
          foot="Derived lines are quotients of the figures above them; sources: chipcast chip show ID")
    for line in result["remarks"]:
        say(line)


@app.command(help="List the sold bins of Ascend dies: matrix rate, vendor rate, memory.")
def bins(family: Annotated[str, typer.Option("--family", help="910, 910B, 910C, 950.")] = "", as_of: AsOf = "",
         json: Json = False) -> None:
    from chipcast.base.errors import unknown
    from chipcast.chip.bins import bins as all_bins

    catalog = catalogue(as_of)
    found = all_bins(catalog)
    if family:
        keep = [b for b in found if b.family.lower().startswith(family.lower())]
        if not keep:
            unknown("family", family, {b.family for b in found})
        found = tuple(keep)
    if json:
        emit_json({"as_of": str(catalog.as_of), "bins": [
            {"sku": b.sku, "family": b.family, "cube_cores": b.cube_cores, "vector_cores": b.vector_cores,
             "freq_ghz": b.freq_ghz, "mem_gib": b.mem_gib, "fp16_cube_tflops": round(b.cube_tflops, 4),
             "fp16_vendor_tflops": round(b.vendor_tflops, 4), "known_by": b.known_by, "source": b.source}
            for b in found]})
        return
    table(f"Bins known on {catalog.as_of}; a matrix product gets the cube figure",
          ["bin", "family", "cube cores", "GHz", "GiB", "FP16 cube", "FP16 vendor"],
          [[b.sku, b.family, b.cube_cores, f"{b.freq_ghz:g}", "-" if b.mem_gib is None else f"{b.mem_gib:g}",
            f"{b.cube_tflops:.1f}", f"{b.vendor_tflops:.1f}"] for b in found])
