"""AUTOMATIC1111's names of samplers, schedulers and models, and its texts, by table."""

from __future__ import annotations

import pytest

from comfybridge.web.dialects.automatic1111.infotexts import infotext, parsed
from comfybridge.web.dialects.automatic1111.models import bare, installed
from comfybridge.web.dialects.automatic1111.samplers import (
    SAMPLERS,
    SCHEDULERS,
    Chosen,
    Names,
    Offered,
    UnknownName,
    offered_samplers,
    offered_schedulers,
    shown_sampler,
    shown_scheduler,
)

OFFERED = Offered(["euler", "euler_ancestral", "dpmpp_2m", "res_multistep"], ["karras", "normal", "beta57"])
OWN = Chosen("euler", "simple")


def not_asked() -> Offered:
    pytest.fail("a server is asked although the table has the name")


@pytest.mark.parametrize(
    ("sampler", "scheduler", "chosen"),
    [
        (None, None, Chosen(None, None)),
        ("", "", Chosen(None, None)),
        ("Euler a", None, Chosen("euler_ancestral", "normal")),
        ("euler A", "automatic", Chosen("euler_ancestral", "normal")),
        ("k_euler_a", None, Chosen("euler_ancestral", "normal")),
        ("euler_ancestral", "Karras", Chosen("euler_ancestral", "karras")),
        ("DPM++ 2M Karras", "automatic", Chosen("dpmpp_2m", "karras")),
        ("DPM++ 2M Karras", "Exponential", Chosen("dpmpp_2m", "karras")),
        ("dpm++ 2m sde heun exponential", None, Chosen("dpmpp_2m_sde_heun", "exponential")),
        ("DPM++ 2M SDE", None, Chosen("dpmpp_2m_sde", "exponential")),
        ("DPM++ 2M SGMUniform", None, Chosen("dpmpp_2m", "sgm_uniform")),
        ("Euler SGM Uniform", None, Chosen("euler", "sgm_uniform")),
        ("k_dpmpp_2m_ka", None, Chosen("dpmpp_2m", "karras")),
        ("dpmpp_2m_karras", None, Chosen("dpmpp_2m", "karras")),
        ("DPM2 a", None, Chosen("dpm_2_ancestral", "karras")),
        ("DDIM", None, Chosen("ddim", "ddim_uniform")),
        ("UniPC", "Uniform", Chosen("uni_pc", "normal")),
        ("LCM", "SGM Uniform", Chosen("lcm", "sgm_uniform")),
        ("Heun", "KL Optimal", Chosen("heun", "kl_optimal")),
        ("LMS", "DDIM", Chosen("lms", "ddim_uniform")),
        (None, "Karras", Chosen(None, "karras")),
        # as stable-diffusion.cpp's clients write them
        ("euler_a", "discrete", Chosen("euler_ancestral", "normal")),
        ("dpm2", "discrete", Chosen("dpm_2", "normal")),
        ("dpm++2s_a", "karras", Chosen("dpmpp_2s_ancestral", "karras")),
        ("dpm++2m", "sgm_uniform", Chosen("dpmpp_2m", "sgm_uniform")),
        # as the Blender add-on AI Render writes them
        ("DPM2 a Karras", None, Chosen("dpm_2_ancestral", "karras")),
        ("LMS Karras", None, Chosen("lms", "karras")),
        # the workflow's own sampler keeps its scheduler, unless another is asked for
        ("Euler", "Automatic", Chosen("euler", None)),
        ("Euler", "Beta", Chosen("euler", "beta")),
    ],
)
def test_names_that_the_table_has(sampler: str | None, scheduler: str | None, chosen: Chosen) -> None:
    assert Names(not_asked, OWN).chosen(sampler, scheduler) == chosen


def test_other_names_that_the_server_has_are_taken_too() -> None:
    assert Names(lambda: OFFERED).chosen("res_multistep", "beta57") == Chosen("res_multistep", "beta57")
    assert Names(lambda: OFFERED).chosen("Res_Multistep", None) == Chosen("res_multistep", None)


@pytest.mark.parametrize(
    ("sampler", "scheduler", "field", "name"),
    [("PLMS", None, "sampler_name", "Euler a"), ("Euler", "Polyexponential", "scheduler", "Karras")],
)
def test_an_unknown_name_is_told_with_those_that_there_are(
    sampler: str, scheduler: str | None, field: str, name: str
) -> None:
    with pytest.raises(UnknownName) as caught:
        Names(lambda: OFFERED).chosen(sampler, scheduler)
    assert caught.value.field == field
    assert name in caught.value.names


def test_only_what_the_server_has_is_offered() -> None:
    assert [each.name for each in offered_samplers(OFFERED)] == ["DPM++ 2M", "Euler a", "Euler", "res_multistep"]
    assert [each.name for each in offered_schedulers(OFFERED)] == [
        *("automatic", "uniform", "karras", "normal", "beta57")
    ]


def test_names_lead_there_and_back() -> None:
    for sampler in SAMPLERS:
        assert Names(not_asked).chosen(shown_sampler(sampler.comfy), None).sampler == sampler.comfy
    for scheduler in SCHEDULERS:
        assert Names(not_asked).chosen(None, shown_scheduler(scheduler.comfy)).scheduler == scheduler.comfy


FILES = [
    "plain.safetensors",
    "sd15/Dream Shaper_8.safetensors",
    "xl/base.ckpt",
    "other/base.ckpt",
    "v1.5-pruned.ckpt",
]


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("plain.safetensors", "plain.safetensors"),
        ("plain", "plain.safetensors"),
        ("PLAIN.safetensors", "plain.safetensors"),
        ("plain.safetensors [6ce0161689]", "plain.safetensors"),
        ("dream shaper_8", "sd15/Dream Shaper_8.safetensors"),
        ("sd15\\Dream Shaper_8.safetensors", "sd15/Dream Shaper_8.safetensors"),
        ("sd15/dream shaper_8", "sd15/Dream Shaper_8.safetensors"),
        ("v1.5-pruned", "v1.5-pruned.ckpt"),
        ("xl/base.ckpt", "xl/base.ckpt"),
        ("base.ckpt", None),
        ("base", None),
        ("nothing", None),
        ("", None),
    ],
)
def test_the_file_that_a_name_means(name: str, file: str | None) -> None:
    assert installed(name, FILES) == file


def test_a_bare_name_has_no_folders_and_no_ending() -> None:
    assert [bare(each) for each in ("a/b/c.safetensors", "v1.5", "x\\y.ckpt")] == ["c", "v1.5", "y"]


def test_a_text_is_written_and_taken_apart() -> None:
    text = infotext(
        "a cat,\non a mat", "a dog", {"Steps": 4, "Sampler": "Euler a", "Seed": 5, "Size": "64x32", "V": None}
    )
    assert text == "a cat,\non a mat\nNegative prompt: a dog\nSteps: 4, Sampler: Euler a, Seed: 5, Size: 64x32"
    assert parsed(text) == {
        "Prompt": "a cat,\non a mat",
        "Negative prompt": "a dog",
        "Steps": "4",
        "Sampler": "Euler a",
        "Seed": "5",
        "Size-1": "64",
        "Size-2": "32",
    }


def test_a_value_with_a_comma_is_quoted() -> None:
    text = infotext("", "", {"Model": 'a, "b": c', "Steps": 1, "Seed": 2})
    assert parsed(text)["Model"] == 'a, "b": c'


def test_a_text_without_values_is_a_prompt() -> None:
    assert parsed("just a cat, at 5: five") == {"Prompt": "just a cat, at 5: five", "Negative prompt": ""}


@pytest.mark.parametrize("text", ["", "\n\n", "a" * 200_000, 'a:"' * 60_000, "Negative prompt:"])
def test_odd_texts_are_taken_apart_at_once(text: str) -> None:
    assert "Prompt" in parsed(text)
