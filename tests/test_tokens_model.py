"""Models are counted from their shape; the published totals are the independent road."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from chipcast.base.catalog import DATA
from chipcast.base.errors import InputError
from chipcast.tokens.config import model_of, shipped
from chipcast.tokens.model import PRECISION, load

EXACT = {
    "deepseek-v3": 671026419200, "deepseek-r1": 671026419200, "deepseek-v2": 235741434880,
    "deepseek-v2-lite": 15706484224, "kimi-k2": 1026408232448, "qwen3-235b-a22b": 235093634560,
    "qwen3-30b-a3b": 30532122624, "qwen3-coder-480b": 480154875392, "gpt-oss-120b": 116829156672,
    "gpt-oss-20b": 20914757184, "mixtral-8x7b": 46702792704, "mixtral-8x22b": 140620634112,
    "llama-3.1-8b": 8030261248, "llama-3.1-70b": 70553706496, "llama-3.1-405b": 405853388800,
    "llama-2-7b": 6738415616, "qwen3-32b": 32762123264, "qwen3-14b": 14768307200, "qwen3-8b": 8190735360,
    "qwen2.5-7b": 7615616512, "mistral-nemo": 12247782400, "01-ai__Yi-34B": 34388917248,
    "codellama-34b": 33743970304, "qwen3-next": 79674391296,
}
PUBLISHED_BN = {
    "deepseek-v3": 671, "kimi-k2": 1026, "llama-3.1-405b": 405, "glm-4.5": 355, "glm-4.5-air": 107,
    "llama-4-maverick": 400, "openpangu-ultra-moe": 718, "pangu-pro-moe": 72, "gpt-oss-120b": 116.8,
    "mixtral-8x22b": 141, "qwen3-next": 80, "qwen2.5-7b": 7.61, "qwen3.5-397b-a17b": 397, "qwen3-235b": 235,
}


@pytest.mark.parametrize("name", EXACT)
def test_parameters_are_counted_to_the_last_weight(name: str) -> None:
    assert load(name).params_total == EXACT[name]


@pytest.mark.parametrize("name", PUBLISHED_BN)
def test_counts_agree_with_the_model_cards_within_one_percent(name: str) -> None:
    assert load(name).params_total / 1e9 == pytest.approx(PUBLISHED_BN[name], rel=0.0101)


@pytest.mark.parametrize("name", sorted(shipped()))
def test_every_shipped_configuration_loads(name: str) -> None:
    m = load(name)
    assert 0 < m.params_active <= m.params_total
    assert m.layers > 0 and m.flops_per_token(1000) > 2 * (m.params_active - m.embedding_params) * 0.9
    assert m.weight_bytes("bf16") == pytest.approx(2 * m.params_total)
    assert m.weight_bytes("fp8") < m.weight_bytes("bf16")


def test_there_are_46_shipped_configurations() -> None:
    assert len(shipped()) == 46


def test_active_parameters_include_embedding_and_head() -> None:
    assert load("deepseek-v3").params_active == pytest.approx(37.55e9, rel=1e-3)
    big, small = load("gpt-oss-120b"), load("gpt-oss-20b")
    assert (big.params_active, small.params_active) == (5711982912, 4187440704)
    assert big.params_active - big.embedding_params == pytest.approx(5.133e9, rel=1e-3)
    assert small.params_active - small.embedding_params == pytest.approx(3.608e9, rel=1e-3)


PLAIN_COUNT_BN = {  # total, active: counted from the fields without norms, biases and further-token layers
    "deepseek-v3": (671.03, 37.55), "deepseek-v2": (235.74, 21.38), "deepseek-v2-lite": (15.71, 2.66),
    "kimi-k2": (1026.41, 32.86), "qwen3-235b-a22b": (235.09, 22.19), "qwen3-30b-a3b": (30.53, 3.35),
    "qwen3-coder-480b": (480.15, 35.47), "glm-4.5": (352.80, 33.63), "glm-4.5-air": (106.85, 13.42),
    "openpangu-ultra-moe": (719.09, 40.37), "gpt-oss-120b": (116.79, 5.71), "gpt-oss-20b": (20.91, 4.19),
    "mixtral-8x7b": (46.70, 12.88), "mixtral-8x22b": (140.62, 39.15), "llama-3.1-405b": (405.85, 405.85),
    "qwen3-14b": (14.77, 14.77), "01-ai__Yi-34B": (34.39, 34.39),
}


@pytest.mark.parametrize("name", PLAIN_COUNT_BN)
def test_total_and_active_meet_the_counts_that_came_with_the_configurations(name: str) -> None:
    m = load(name)
    assert (m.params_total / 1e9, m.params_active / 1e9) == pytest.approx(PLAIN_COUNT_BN[name], rel=0.01)


def test_further_token_layers_stand_apart_and_close_the_published_checkpoint() -> None:
    m = load("deepseek-v3")
    assert m.params_mtp == pytest.approx(11.61e9, rel=1e-3)
    duplicates = m.embedding_params + m.head_params
    assert m.params_total + m.params_mtp + duplicates == pytest.approx(684.5e9, rel=1e-3)


def test_counting_dense_layers_as_experts_gives_another_model() -> None:
    tree = json.loads((DATA / "models" / "deepseek-ai__DeepSeek-V3.json").read_text())
    wrong = model_of({**tree, "first_k_dense_replace": 0}, "wrong")
    assert wrong.params_total == pytest.approx(703.8e9, rel=1e-3)
    tree = json.loads((DATA / "models" / "meta-llama__Llama-4-Maverick-17B-128E-Instruct.json").read_text())
    inner = {**tree["text_config"], "interleave_moe_layer_step": 1}
    assert model_of({**tree, "text_config": inner}, "wrong").params_total > 1.9 * load("llama-4-maverick").params_total


def test_bytes_of_weights_and_cache_match_what_is_deployed() -> None:
    v3 = load("deepseek-v3")
    assert v3.weight_bytes("fp8_block") == pytest.approx(673.15e9, rel=1e-5)
    assert v3.weight_bytes("fp8_block", mtp=True) + 4 * v3.embedding_params == pytest.approx(688.57e9, rel=1e-4)
    assert v3.weight_bytes("bf16") == pytest.approx(1.342e12, rel=1e-3)
    kv = {"deepseek-v3": 70272, "kimi-k2": 70272, "llama-3.1-8b": 131072, "llama-3.1-70b": 327680,
          "llama-3.1-405b": 516096, "qwen3-32b": 262144, "qwen3-235b": 192512, "qwen3-next": 24576}
    for name, expected in kv.items():
        assert load(name).kv_bytes_per_token() == expected
    assert load("qwen3-next").state_bytes_per_request == pytest.approx(75.5e6, rel=1e-3)
    assert 3500 * v3.kv_bytes_per_token() / 25e9 == pytest.approx(9.8e-3, rel=0.01)


def test_arithmetic_per_token_of_v3() -> None:
    m = load("deepseek-v3")
    mla = m.groups[0].attention
    assert mla.matrix_params + mla.other_params == 187107328
    assert (mla.core_flop_per_key(absorbed=True), mla.core_flop_per_key(absorbed=False)) == (278528, 81920)
    assert m.flops_per_token(0) == pytest.approx(73.25e9, rel=1e-3)
    assert m.flops_per_token(0, head=False) == pytest.approx(71.40e9, rel=1e-3)
    for context, expected in ((4096, 142.8e9), (32768, 630.0e9), (131072, 2300e9)):
        assert m.flops_per_token(context) == pytest.approx(expected, rel=2e-3)
    for length, expected in ((4096, 81.6e9), (8192, 91.9e9), (32768, 153.3e9)):
        assert m.flops_per_token(length, decode=False, head=False) == pytest.approx(expected, rel=2e-3)


def test_names_are_found_in_any_case_with_precision_or_organisation() -> None:
    for name in ("DeepSeek-R1", "deepseek-ai__DeepSeek-R1", "deepseek-r1-w8a8", "DeepSeek-V3.1", "Kimi-K2-Thinking"):
        assert load(name).params_total > 6e11
    assert load("Llama-3.3-70B").params_total == load("llama-3.1-70b").params_total
    with pytest.raises(InputError, match="did you mean 'deepseek-r1'"):
        load("deepsek-r1")


def test_a_config_is_refused_by_the_field_it_lacks(tmp_path: Path) -> None:
    tree = json.loads((DATA / "models" / "Qwen__Qwen3-8B.json").read_text())
    path = tmp_path / "config.json"
    for field in ("hidden_size", "num_attention_heads", "vocab_size", "intermediate_size"):
        path.write_text(json.dumps({k: v for k, v in tree.items() if k != field}))
        load.cache_clear()
        with pytest.raises(InputError, match=field):
            load(str(path))
    path.write_text(json.dumps({"model_type": "rwkv9", "hidden_size": 5, "rwkv_kind": 1}))
    load.cache_clear()
    with pytest.raises(InputError, match="architecture 'rwkv9' is not known"):
        load(str(path))
    path.write_text("{")
    load.cache_clear()
    with pytest.raises(InputError, match="not valid JSON"):
        load(str(path))
    with pytest.raises(InputError, match="no file"):
        load(str(tmp_path / "missing.json"))
    path.write_text(json.dumps({**tree, "num_hidden_layers": "many"}))
    load.cache_clear()
    with pytest.raises(InputError, match="must be a whole number"):
        load(str(path))


def test_every_precision_has_fewer_bytes_than_sixteen_bits_or_as_many() -> None:
    assert all(0.4 < p.bytes_per_weight <= 2 for p in PRECISION.values())
