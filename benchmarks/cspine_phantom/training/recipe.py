"""How the reference checkpoints are trained."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Recipe:
    """Seed, number of films, and pace of every training.

    Attributes
    ----------
    seed
        That of the training patients; the tuning patients and the films of the screen have those
        that follow it.
    frontal_films, hidden_films
        Films for the localiser and the landmarks alone: see
        :func:`cspine_phantom.training.tensors.gather`.
    other_films
        Films of other parts of the body, for the landmarks alone, on which there are none.
    upside_down
        Part of the images of both that is turned over, with nothing to be found on them.
    variants
        Crops of a level, all but the first displaced.
    noise
        Largest standard deviation of the noise added, a part of white.
    stacks, tuning_stacks
        Patients whose MR slices the network is fitted to, and tuned on.
    stack_variants
        Times that a stack is shown, all but the first moved.
    canal_patients, canal_tuning
        Patients whose CT slices the networks are fitted to, and tuned on.
    canal_slices
        Slices of each of them, half of them the narrowest.
    canal_heads
        Patients whose head was scanned, for the detector of the canal; half as many to tune it.
    landmark_sigma_mm, cord_sigma_mm
        Standard deviation of the Gaussian about a landmark, and about an end of the cord's
        diameters, that its map should show.
    graded_patients, graded_tuning
        Patients with worn discs whose MR the networks are fitted to, and tuned on.
    """

    seed: int = 20261121
    train_patients: int = 1600
    frontal_films: int = 160
    hidden_films: int = 240
    other_films: int = 80
    upside_down: float = 0.15
    tuning_patients: int = 150
    variants: int = 4
    noise: float = 0.04
    segment_steps: int = 1800
    segment_batch: int = 8
    classify_epochs: int = 9
    classify_batch: int = 48
    landmark_steps: int = 1800
    landmark_batch: int = 8
    landmark_sigma_mm: float = 1.5
    stacks: int = 800
    tuning_stacks: int = 150
    stack_variants: int = 4
    stack_steps: int = 600
    stack_batch: int = 32
    canal_patients: int = 300
    canal_tuning: int = 120
    canal_slices: int = 14
    canal_heads: int = 8
    canal_steps: int = 250
    canal_batch: int = 8
    grading_steps: int = 700
    grading_batch: int = 48
    graded_patients: int = 200
    graded_tuning: int = 60
    bone_steps: int = 1200
    grade_steps: int = 240
    grade_batch: int = 48
    cord_steps: int = 200
    cord_batch: int = 24
    cord_sigma_mm: float = 0.6
    screen_clean: int = 1300
    screen_of_each: int = 110
    screen_epochs: int = 13
    screen_batch: int = 32
    learning_rate: float = 3e-3
    weight_decay: float = 1e-2

    @property
    def pace(self) -> dict[str, float]:
        """What :func:`cspine_phantom.training.fit.fit` takes."""
        return {"learning_rate": self.learning_rate, "weight_decay": self.weight_decay}
