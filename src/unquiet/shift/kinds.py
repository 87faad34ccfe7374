"""Kinds of features."""

RUN, OPENING, LENGTH, STEP, SHAPE, BUILD = 1, 2, 3, 4, 5, 6
NAMES = {
    RUN: "phrase",
    OPENING: "opening",
    LENGTH: "length",
    STEP: "tool step",
    SHAPE: "shape",
    BUILD: "shape and length",
}
