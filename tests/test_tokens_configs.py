"""Configurations from outside: other families, foreign names, embedded quantisation, and what is refused by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from chipcast.base.calendar import parse_date
from chipcast.base.errors import InputError
from chipcast.base.given import Given
from chipcast.tokens.config import READERS, find, model_of, refuse_later, shipped, unsure_date

LLAMA: dict[str, Any] = {"model_type": "llama", "hidden_size": 4096, "num_hidden_layers": 32,
                         "num_attention_heads": 32, "num_key_value_heads": 8, "vocab_size": 128256,
                         "intermediate_size": 14336, "hidden_act": "silu"}


def test_a_gpt_is_counted_from_its_own_field_names() -> None:
    """By hand: embeddings, positions, twelve layers of 12 H^2 + 13 H, a final norm with its bias."""
    m = model_of({"model_type": "gpt2", "n_embd": 768, "n_layer": 12, "n_head": 12, "vocab_size": 50257,
                  "n_positions": 1024}, "gpt2")
    body = 12 * (12 * 768**2 + 13 * 768)
    assert m.params_total == pytest.approx(50257 * 768 + 1024 * 768 + body + 2 * 768, abs=768)
    assert m.tied and m.context == 1024


def test_a_model_with_one_key_head_caches_one_head() -> None:
    m = model_of({"model_type": "falcon", "hidden_size": 4544, "num_hidden_layers": 32, "num_attention_heads": 71,
                  "vocab_size": 65024, "multi_query": True}, "falcon")
    assert m.kv_bytes_per_token() == 32 * 2 * 64 * 2
    attention = 4544 * 4544 * 2 + 4544 * 128
    assert m.params_total == pytest.approx(32 * (attention + 8 * 4544**2) + 65024 * 4544, rel=1e-3)


def test_windows_alternate_where_the_family_says_so() -> None:
    base = {"hidden_size": 4608, "num_hidden_layers": 46, "num_attention_heads": 32, "num_key_value_heads": 16,
            "head_dim": 128, "vocab_size": 256000, "intermediate_size": 36864, "sliding_window": 4096}
    second = model_of({"model_type": "gemma2", **base}, "g")
    assert {(g.count, g.attention.window) for g in second.groups} == {(23, 4096), (23, 0)} and second.tied
    third = model_of({"model_type": "gemma3", "text_config": {"model_type": "gemma3_text", **base}}, "g")
    assert {(g.count, g.attention.window) for g in third.groups} == {(39, 4096), (7, 0)}
    assert "text tower only" in third.notes
    assert third.cache_bytes(100_000, 2.0) < second.cache_bytes(100_000, 2.0)
    late = model_of({**LLAMA, "model_type": "qwen2", "use_sliding_window": True, "sliding_window": 4096,
                     "max_window_layers": 28}, "q")
    assert {(g.count, g.attention.window) for g in late.groups} == {(28, 0), (4, 4096)}


def test_experts_under_other_names_are_counted_as_experts() -> None:
    tree = {"model_type": "ernie4_5_moe", "hidden_size": 8192, "num_hidden_layers": 54, "num_attention_heads": 64,
            "num_key_value_heads": 8, "vocab_size": 103424, "intermediate_size": 28672, "moe_num_experts": 64,
            "moe_k": 8, "moe_intermediate_size": 3584, "moe_layer_start_index": 3}
    m = model_of(tree, "e")
    assert [(g.count, g.ffn.kind) for g in m.groups] == [(3, "dense"), (51, "moe")]
    assert m.expert_params == 51 * 64 * 3 * 8192 * 3584
    with pytest.raises(InputError, match=r"'mystery' is not known, and its fields .*moe.* not plain ones"):
        model_of({**tree, "model_type": "mystery"}, "e")


@pytest.mark.parametrize(("quant", "native"), [
    ({"quant_method": "awq", "bits": 4}, "int4_group"), ({"quant_method": "gptq", "bits": 8}, "int8_channel"),
    ({"quant_method": "compressed-tensors", "format": "int-quantized"}, "int8_channel"),
    ({"quant_method": "compressed-tensors", "format": "float-quantized"}, "fp8"),
    ({"quant_method": "compressed-tensors", "format": "pack-quantized",
      "config_groups": {"group_0": {"weights": {"num_bits": 4}}}}, "int4_group"),
    ({"quant_method": "modelopt", "quant_algo": "NVFP4"}, "fp4_block"),
    ({"quant_method": "fp8", "weight_block_size": [128, 128]}, "fp8_block"), ({"quant_method": "fp8"}, "fp8"),
    ({"quant_method": "mxfp4"}, "mxfp4"), ({"quant_method": "bitsandbytes", "load_in_4bit": True}, "int4_group")])
def test_embedded_quantisation_is_the_native_precision(quant: dict[str, Any], native: str) -> None:
    m = model_of({**LLAMA, "quantization_config": quant}, "q")
    assert m.native == native and m.block == (128 if native == "fp8_block" else 0)


@pytest.mark.parametrize(("change", "match"), [
    ({"quantization_config": {"quant_method": "aqlm"}}, "quantisation 'aqlm' is not known"),
    ({"num_attention_heads": 33}, "does not divide hidden_size 4096"),
    ({"num_key_value_heads": 5}, "no multiple of num_key_value_heads"),
    ({"num_hidden_layers": 0}, "lacks 'num_hidden_layers'"), ({"hidden_size": "4096"}, "must be a whole number"),
    ({"model_type": "mamba9", "mamba_d_state": 16}, r"'mamba9' is not known, and its fields \(mamba_d_state\)"),
    ({"model_type": "odd", "kv_lora_rank": 512}, r"'odd' is not known, and its fields \(kv_lora_rank\)"),
    ({"model_type": "odd", "hidden_act": "gelu"}, "activation 'gelu' its networks may have two matrices or three"),
    ({"model_type": "odd", "hidden_act": None, "intermediate_size": None}, "")])
def test_what_cannot_be_read_is_refused_by_name(change: dict[str, Any], match: str) -> None:
    tree = {k: v for k, v in {**LLAMA, **change}.items() if v is not None}
    with pytest.raises(InputError, match=match or "is not known and its config lacks intermediate_size, hidden_act"):
        model_of(tree, "x")


def test_an_unknown_kind_with_the_fields_of_a_llama_says_how_it_was_read() -> None:
    m = model_of({**LLAMA, "model_type": "newcomer"}, "n")
    assert m.params_total == model_of(LLAMA, "l").params_total
    assert m.notes == ("architecture 'newcomer' is not known: read as Llama-like",)


@pytest.mark.parametrize("kind", ["llama", "qwen3", "mixtral", "glm4", "phi3", "chatglm"])
def test_plain_kinds_read_foreign_names_as_their_own(kind: str) -> None:
    swap = {"hidden_size": "n_embd", "num_hidden_layers": "num_layers", "intermediate_size": "ffn_hidden_size",
            "vocab_size": "padded_vocab_size", "num_key_value_heads": "multi_query_group_num"}
    tree = {**LLAMA, "model_type": kind, "num_local_experts": 8, "num_experts_per_tok": 2} if kind == "mixtral" else \
        {**LLAMA, "model_type": kind}
    foreign = {swap.get(k, k): v for k, v in tree.items()}
    assert model_of(foreign, "a").params_total == model_of(tree, "b").params_total


def test_lightning_layers_are_counted_by_hand_and_keep_a_state() -> None:
    m = model_of({"model_type": "minimax_m1", "hidden_size": 6144, "intermediate_size": 9216, "num_hidden_layers": 80,
                  "num_attention_heads": 64, "num_key_value_heads": 8, "head_dim": 128, "num_local_experts": 32,
                  "num_experts_per_tok": 2, "vocab_size": 200064, "attn_type_list": ([0] * 7 + [1]) * 10}, "m1")
    linear, full = 5 * 6144 * 8192, 6144 * (2 * 8192 + 2 * 1024)
    experts = 80 * 32 * 3 * 6144 * 9216
    assert m.params_total == pytest.approx(70 * linear + 10 * full + experts + 2 * 200064 * 6144, rel=1e-3)
    assert m.kv_bytes_per_token() == 10 * 2 * 8 * 128 * 2
    assert [(g.count, g.attention.kind) for g in m.groups] == [(70, "linear"), (10, "gqa")]
    with pytest.raises(InputError, match="lacks 'attn_type_list'"):
        model_of({"model_type": "minimax_m1", "hidden_size": 64, "num_attention_heads": 4, "head_dim": 16}, "m1")


@pytest.mark.parametrize(("kind", "more", "near"), [
    ("cohere2", {"sliding_window_pattern": 4}, 24), ("exaone4", {"sliding_window_pattern": "LLLG"}, 24),
    ("qwen3", {"layer_types": ["sliding_attention", "full_attention"] * 16}, 16),
    ("olmo3", {"layer_types": (["sliding_attention"] * 3 + ["full_attention"]) * 8}, 24)])
def test_windows_are_read_layer_by_layer(kind: str, more: dict[str, Any], near: int) -> None:
    m = model_of({**LLAMA, "model_type": kind, "sliding_window": 4096, **more}, "a")
    assert {g.attention.window: g.count for g in m.groups} == {4096: near, 0: 32 - near}
    assert model_of({**LLAMA, "model_type": kind, **more}, "b").groups[0].attention.window == 0


def test_equal_lists_are_one_number_and_unequal_ones_are_refused() -> None:
    tree = {**LLAMA, "model_type": "hunyuan_v1_moe", "num_experts": 64, "moe_topk": [8] * 32,
            "moe_intermediate_size": [3072] * 32, "num_shared_expert": [1] * 32}
    m = model_of(tree, "a")
    assert (m.groups[0].ffn.top_k, m.groups[0].ffn.width, m.groups[0].ffn.shared_width) == (8, 3072, 3072)
    with pytest.raises(InputError, match="num_experts_per_tok differs between layers"):
        model_of({**tree, "moe_topk": [8] * 31 + [4]}, "a")


def test_floats_of_eight_bits_in_groups_are_no_integers() -> None:
    def packed(kind: str) -> dict[str, Any]:
        weights = {"num_bits": 8, "type": kind, "strategy": "channel"}
        return {**LLAMA, "quantization_config": {"quant_method": "compressed-tensors",
                                                 "config_groups": {"group_0": {"weights": weights}}}}

    assert model_of(packed("float"), "a").native == "fp8"
    assert model_of(packed("int"), "b").native == "int8_channel"


@pytest.mark.parametrize("kind", sorted(READERS))
def test_every_reader_refuses_an_empty_configuration_by_the_field_it_lacks(kind: str) -> None:
    with pytest.raises(InputError, match="lacks '"):
        model_of({"model_type": kind}, "empty")


def test_a_model_of_later_date_is_refused_to_an_earlier_forecast() -> None:
    with pytest.raises(InputError, match="'kimi-k3' may have become public only after 2025-02-25"):
        refuse_later("kimi-k3", parse_date("2025-02-25"))
    refuse_later("kimi-k3", parse_date("2026-03-01"))
    refuse_later("deepseek-r1", parse_date("2025-02-25"))


def test_every_shipped_model_says_by_when_it_was_public_and_why() -> None:
    from chipcast.base.catalog import read_table

    rows = {r["model"]: r for r in read_table("model_dates")}
    assert set(rows) == set(shipped())
    assert all(r["sense"] in ("by", "from") and r["reason"] for r in rows.values())
    measured: dict[str, str] = {}
    for m in read_table("measurements"):
        try:
            key = find(m["model"]).stem.split("__", 1)[-1].lower()
        except InputError:
            continue
        measured[key] = min(measured.get(key, "9999"), m["known_by"] or "9999")
    early = {k: d for k, d in measured.items() if k in rows and rows[k]["known_by"] > d}
    assert not early, "measured before it is said to be public"


def test_a_forecast_says_where_it_is_not_known_whether_a_model_was_public(cli: Callable[..., tuple[int, str, str]],
                                                                          ) -> None:
    code, _, err = cli("tokens", "layout", "qwen3-32b", "--chips", "4")
    assert code == 0 and "is not known here, only that it was by 2025-05-16" in err
    code, _, err = cli("tokens", "layout", "qwen3-32b", "--chips", "4", "--as-of", "2025-06-30")
    assert code == 0 and "not known here" not in err
    assert unsure_date("deepseek-v3", parse_date("2025-02-25")) == ""
    assert "2025-12-31" in unsure_date("gpt-oss-120b", parse_date("2025-02-25"))


def test_no_forecast_serves_or_predicts_a_model_of_later_date(given: Given) -> None:
    from chipcast.base.catalog import Catalogue
    from chipcast.tokens.predict import predict
    from chipcast.tokens.serve import service

    with pytest.raises(InputError, match="may have become public only after 2025-02-25"):
        service(given, ("h20-96",), "glm-5", input_tokens=1000, output_tokens=500, ttft_s=2, tpot_ms=50)
    row = {"id": "a", "hardware": "H20 96GB", "model": "GLM-5", "quantity": "tpot_ms", "concurrency": "8"}
    early, late = (predict([row], Catalogue(parse_date(d)))[0] for d in ("2025-02-25", "2026-06-30"))
    assert "may have become public only after 2025-02-25" in early.error and not late.error
