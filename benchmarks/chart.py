"""The figure in benchmarks/tensors.png: a round trip of each way, over raw bytes through bare grpc."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from benchmarks import tensors

CHART = Path(__file__).parent / "tensors.png"

# From the nearest to the floor to the farthest; the colours are told apart by readers with colour blindness too.
_WAYS = {
    tensors.OURS: "#0072b2",
    tensors.OPEN_INFERENCE: "#56b4e9",
    tensors.TF_SERVING: "#009e73",
    tensors.STOCK_FLOOR: "#999999",
    tensors.BYTES_FIELD: "#e69f00",
    tensors.TRITON: "#d55e00",
    tensors.REPEATED_FIELD: "#cc79a7",
}


def draw(ratios: dict[str, dict[str, float]], versions: dict[str, str], path: Path = CHART) -> None:
    """Writes the PNG: `ratios` holds for each way and size the median ratio to the floor."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    ways = {name: colour for name, colour in _WAYS.items() if name in ratios}
    sizes = list(next(iter(ratios.values())))
    figure, axes = plt.subplots(figsize=(10, 5.2), dpi=120)
    width = 0.84 / len(ways)
    for place, (name, colour) in enumerate(ways.items()):
        heights = [ratios[name].get(size, 0) for size in sizes]
        left = [index - 0.42 + (place + 0.5) * width for index in range(len(sizes))]
        bars = axes.bar(left, heights, width * 0.92, label=name, color=colour)
        labels = [f"{height:.2f}" if height < 10 else f"{height:.0f}" for height in heights]
        axes.bar_label(bars, labels, padding=2, fontsize=7)
    axes.axhline(1, color="black", linewidth=0.8)
    axes.set_yscale("log")
    axes.set_xticks(range(len(sizes)), sizes)
    axes.set_ylabel("time of a round trip, raw bytes = 1 (log scale)")
    axes.set_title(
        "Echo of a float32 tensor over loopback gRPC, against raw bytes with the same allocator settings"
    )
    axes.legend(ncols=4, fontsize=8, loc="upper center", bbox_to_anchor=(0.5, -0.08), frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_ylim(top=axes.get_ylim()[1] * 1.6)
    figure.text(
        0.995, 0.005, ", ".join(f"{name} {value}" for name, value in versions.items()), ha="right", fontsize=6
    )
    figure.tight_layout()
    # Without the version of matplotlib and the date the same figures give the same file.
    figure.savefig(path, metadata={"Software": None})
    plt.close(figure)


def to_floor(found: tensors.Samples) -> dict[str, dict[str, float]]:
    """The median ratio to the floor of each way that the chart shows, by size."""
    return {
        name: {
            tensors.shown(nbytes): tensors.ratio(found, name, tensors.FLOOR, nbytes)["ratio"]
            for nbytes in tensors.SIZES
        }
        for name in _WAYS
        if name in found
    }


def main(results: str) -> None:
    """Draws from a file of results again."""
    stored: dict[str, Any] = json.loads(Path(results).read_text())
    draw(stored["to_floor"], stored["versions"])


if __name__ == "__main__":
    main(sys.argv[1])
