"""Vocabulary of detectors: COCO's classes, and the type of text prompts."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator

from storage.common.config import Names, comma_separated


def _distinct(prompts: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(prompts))


Prompts = Annotated[Names, AfterValidator(_distinct)]
"""Text prompts in their order, none twice; a text is read as comma-separated."""

COCO = tuple(
    comma_separated(
        "person,bicycle,car,motorcycle,airplane,bus,train,truck,boat,traffic light,fire hydrant,stop sign,parking meter,"
        "bench,bird,cat,dog,horse,sheep,cow,elephant,bear,zebra,giraffe,backpack,umbrella,handbag,tie,suitcase,frisbee,"
        "skis,snowboard,sports ball,kite,baseball bat,baseball glove,skateboard,surfboard,tennis racket,bottle,"
        "wine glass,cup,fork,knife,spoon,bowl,banana,apple,sandwich,orange,broccoli,carrot,hot dog,pizza,donut,cake,"
        "chair,couch,potted plant,bed,dining table,toilet,tv,laptop,mouse,remote,keyboard,cell phone,microwave,oven,"
        "toaster,sink,refrigerator,book,clock,vase,scissors,teddy bear,hair drier,toothbrush"
    )
)
"""The 80 classes of COCO's detection task (Lin et al. 2014, release of 2017), in the order of their IDs."""
