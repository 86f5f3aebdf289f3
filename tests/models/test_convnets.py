"""Residual, dense, VGG and AlexNet networks: sizes by hand, norms, symmetries, refusals."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from small import slow

from landscape_cli.models import layers
from landscape_cli.models.alexnet import AlexNet, local_response
from landscape_cli.models.cnn import CNN
from landscape_cli.models.densenet import DenseNet
from landscape_cli.models.preresnet import PreResNet
from landscape_cli.models.resnet import ResNet
from landscape_cli.models.vgg import VGG

KEY = jax.random.key(0)
DRAWS = np.random.default_rng(0)
TINY = {  # one of each kind; every norm and every branch is among them
    "resnet": ResNet(channels=2, norm="layer", outputs=3),
    "resnet without norm": ResNet(channels=2, norm="none", outputs=3),
    "resnet with groups": ResNet(channels=2, norm="group", groups=2, shortcut="B", outputs=3),
    "resnet with batches": ResNet(channels=2, norm="batch", shortcut="none", outputs=3),
    "preresnet": PreResNet(channels=2, norm="layer", outputs=3),
    "vgg": VGG(depth=11, channels=1, widths=(4, 4), norm="layer", outputs=3),
    "densenet": DenseNet(depth=7, growth=2, norm="none", outputs=3),
    "densenet-bc": DenseNet(10, 8, True, 0.5, norm="group", groups=2, outputs=3),
    "alexnet": AlexNet((3, 4), (5,), outputs=3),
    "alexnet with groups": AlexNet((4, 6), (5,), norm="group", groups=2, outputs=3),
    "alexnet with batches": AlexNet((3, 4), (5,), norm="batch", outputs=3),
    "cnn with a norm": CNN((3, 4), 3, widths=(5,), norm="layer", outputs=3),
    "cnn with batches": CNN((3, 4), 3, widths=(5,), norm="batch", outputs=3),
}


def side(network):
    return 32 if isinstance(network, VGG) else 8


def pixels(network, count=3):
    return DRAWS.normal(size=(count, side(network), side(network), 3))


def with_others(images):
    """The first image in other company."""
    return images * np.array([1.0, -3.0, -3.0])[:, None, None, None]


def shapes(network, side=32):
    """All variables, without computing any."""
    images = jnp.zeros((1, side, side, 3), jnp.float32)
    return jax.eval_shape(lambda: network.init(KEY, images))


def filled(network, dtype=float):
    """Kernels of He's size; biases, scales and statistics around one, so that all matter."""

    def fill(leaf):
        if len(leaf.shape) == 1:
            return DRAWS.uniform(0.5, 1.5, leaf.shape).astype(dtype)
        deviation = np.sqrt(2 / np.prod(leaf.shape[:-1]))
        return DRAWS.normal(scale=deviation, size=leaf.shape).astype(dtype)

    return jax.tree.map(fill, shapes(network, side(network)))


def sizes(network, side=32):
    """Entries of every collection."""
    return {
        name: sum(leaf.size for leaf in jax.tree.leaves(tree))
        for name, tree in shapes(network, side).items()
    }


def resnet_size(depth, width, shortcut="A", per_channel=2):
    """Nine weights per pair of channels, a scale and a bias per channel, one dense layer."""
    n = (depth - 2) // 6
    weights, normed, before = 9 * 3 * width, width, width
    for channels in (width, 2 * width, 4 * width):
        weights += 9 * channels * (before + (2 * n - 1) * channels)
        normed += 2 * n * channels
        if shortcut == "B" and channels > before:
            weights, normed = weights + before * channels, normed + channels
        before = channels
    return weights + per_channel * normed + 10 * (4 * width + 1)


def preresnet_size(depth, width):
    """A scale and a bias for every channel that enters a convolution or the last layer."""
    total, before = 9 * 3 * width, width
    for narrow in (width, 2 * width, 4 * width):
        total += before * 4 * narrow  # the shortcut of the first block
        for _ in range((depth - 2) // 9):
            total += before * narrow + 9 * narrow**2 + narrow * 4 * narrow
            total += 2 * (before + 2 * narrow)
            before = 4 * narrow
    return total + 2 * before + 10 * (before + 1)


def vgg_size(convolutions, per_channel=1):
    """As published: channels 64 to 512, then 512-512-10, every unit with its bias."""
    pairs, before = 0, 3
    for channels, count in zip((64, 128, 256, 512, 512), convolutions, strict=True):
        pairs += before * channels + (count - 1) * channels**2
        before = channels
    total = sum(np.multiply(convolutions, (64, 128, 256, 512, 512)))
    return 9 * pairs + per_channel * total + 2 * 512 * 513 + 10 * 513


def densenet_size(layers_of_block, growth, bottleneck):
    """A scale and a bias for every channel that enters a convolution or the last layer."""
    channels = 2 * growth if bottleneck else 16
    total = 9 * 3 * channels
    for block in range(3):
        for _ in range(layers_of_block):
            if bottleneck:
                total += 2 * channels + 4 * growth * channels
                total += 2 * 4 * growth + 9 * 4 * growth * growth
            else:
                total += 2 * channels + 9 * channels * growth
            channels += growth
        if block < 2:
            kept = channels // 2 if bottleneck else channels
            total, channels = total + 2 * channels + channels * kept, kept
    return total + 2 * channels + 10 * (channels + 1)


@pytest.mark.parametrize(
    ("network", "expected", "published"),
    [
        (ResNet(8, norm="batch"), resnet_size(8, 16), 75_290),
        (ResNet(20, norm="batch"), resnet_size(20, 16), 269_722),  # 0.27 M
        slow(ResNet(32, norm="batch"), resnet_size(32, 16), 464_154),  # 0.46 M
        slow(ResNet(44, norm="batch"), resnet_size(44, 16), 658_586),  # 0.66 M
        slow(ResNet(56, norm="batch"), resnet_size(56, 16), 853_018),  # 0.85 M
        slow(ResNet(110, norm="batch"), resnet_size(110, 16), 1_727_962),  # 1.7 M
        (ResNet(20, 64, "B"), resnet_size(20, 64, "B"), 4_327_754),
        (ResNet(8, 8, norm="none"), resnet_size(8, 8, per_channel=1), 19_098),
        (PreResNet(164, norm="batch"), preresnet_size(164, 16), 1_703_258),  # 1.7 M
        (VGG(11), vgg_size((1, 1, 2, 2, 2)), 9_750_922),
        (VGG(13), vgg_size((2, 2, 2, 2, 2)), 9_935_434),
        (VGG(16), vgg_size((2, 2, 3, 3, 3)), 15_245_130),
        (VGG(19), vgg_size((2, 2, 4, 4, 4)), 20_554_826),
        (VGG(16, norm="batch"), vgg_size((2, 2, 3, 3, 3), 2), 15_249_354),
        (DenseNet(40), densenet_size(12, 12, False), 1_019_722),  # 1.0 M
        slow(DenseNet(100, 12, True, 0.5), densenet_size(16, 12, True), 769_162),  # 0.8 M
    ],
    ids=lambda value: f"{type(value).__name__}-{value.depth}" if hasattr(value, "depth") else "",
)
def test_sizes_by_hand_are_the_published_ones(network, expected, published):
    assert sizes(network.clone(outputs=10))["params"] == expected == published


def test_sizes_of_the_small_alexnets_are_the_published_ones():
    shared = 64 * (25 * 3 + 1) + 64 * (25 * 64 + 1) + 384 + 192 * (384 + 1) + 10 * (192 + 1)
    for side, pool_first, published in ((24, False, 1_068_298), (28, True, 1_387_786)):
        expected = shared + (side // 4) ** 2 * 64 * 384
        assert sizes(AlexNet(pool_first=pool_first, outputs=10), side)["params"] == expected
        assert expected == published
        normed = sizes(AlexNet(pool_first=pool_first, norm="batch", outputs=10), side)
        assert normed == {"params": expected + 2 * 64, "batch_stats": 2 * 2 * 64}


def test_parameters_and_statistics_together_as_draxler_counted_them():
    """Their coordinate vector of ResNet-20 has 274,042 entries, running statistics included."""
    assert sum(sizes(ResNet(20, 16, "B", "batch", outputs=10)).values()) == 274_042


def test_shortcuts_without_parameters():
    counts = {name: sizes(ResNet(shortcut=name))["params"] for name in ("A", "B", "none")}
    assert counts["A"] == counts["none"] < counts["B"]


QUICK = ["resnet with groups", "preresnet", "vgg", "densenet-bc", "alexnet", "cnn with batches"]


@pytest.mark.parametrize("name", [n if n in QUICK else slow(n) for n in TINY])
def test_outputs_gradients_and_what_they_depend_on(name):
    network = TINY[name]
    inputs = pixels(network)
    variables = filled(network)

    @jax.jit
    def run(variables, inputs):
        def total(params):
            outputs = network.apply({**variables, "params": params}, inputs)
            return (outputs**2).sum(), outputs

        (_, outputs), slopes = jax.value_and_grad(total, has_aux=True)(variables["params"])
        return outputs, slopes

    outputs, slopes = run(variables, inputs)
    assert outputs.shape == (3, 3)
    assert outputs.dtype == jnp.float64
    assert np.isfinite(outputs).all()
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(slopes))
    others = run(variables, with_others(inputs))[0]
    np.testing.assert_allclose(others[0], outputs[0], rtol=1e-12)
    assert (np.asarray(others)[1:] != np.asarray(outputs)[1:]).any()


@pytest.mark.parametrize("dtype", [jnp.float32, slow(jnp.float64)])
@pytest.mark.parametrize("name", TINY)
def test_numbers_are_as_wide_as_the_parameters(name, dtype):
    network, inputs = TINY[name], pixels(TINY[name]).astype(dtype)
    assert jax.eval_shape(network.apply, filled(network, dtype), inputs).dtype == dtype


def test_batch_statistics_are_stored_and_not_parameters():
    network = TINY["resnet with batches"]
    inputs = pixels(network)
    variables = filled(network)
    train = jax.jit(partial(network.apply, train=True, mutable=["batch_stats"]))
    outputs, stored = train(variables, inputs)
    kernel = variables["params"]["kernel_first"]
    first = np.asarray(jax.jit(partial(layers.convolve, padding=1))(inputs, kernel))
    found = stored["batch_stats"]["norm_first"]
    np.testing.assert_allclose(found["mean"], first.mean((0, 1, 2)), rtol=1e-12)
    np.testing.assert_allclose(found["var"], first.var((0, 1, 2)), rtol=1e-12)
    again = jax.jit(network.apply)({**variables, **stored}, inputs)
    np.testing.assert_allclose(again, outputs, rtol=1e-10)  # sums in another order
    others, _ = train(variables, with_others(inputs))
    assert np.abs(np.asarray(others)[0] - np.asarray(outputs)[0]).max() > 1e-3
    assert set(shapes(ResNet())) == {"params"}


@pytest.mark.parametrize(("name", "same"), [("resnet", True), ("resnet with groups", False)])
def test_permuted_channels_are_a_symmetry_of_the_layer_norm_alone(name, same):
    network = TINY[name].clone(channels=4)
    inputs = pixels(network)
    params = filled(network)["params"]
    swap = np.array([2, 1, 0, 3])  # across the two groups
    permuted = {
        "kernel_0_0_0": params["kernel_0_0_0"][..., swap],
        "kernel_0_0_1": params["kernel_0_0_1"][:, :, swap],
        "norm_0_0_0": {key: leaf[swap] for key, leaf in params["norm_0_0_0"].items()},
    }
    apply = jax.jit(network.apply)
    before = apply({"params": params}, inputs)
    after = apply({"params": {**params, **permuted}}, inputs)
    assert np.allclose(before, after, rtol=1e-10) == same


@pytest.mark.parametrize("side", [8, 9])
def test_a_block_that_adds_nothing_passes_every_fourth_pixel_on(side):
    network = ResNet(channels=2, norm="none", outputs=3)
    inputs = DRAWS.normal(size=(2, side, side, 3))
    params = filled(network)["params"]
    inner = {name: np.zeros_like(leaf) for name, leaf in params.items() if name[-1].isdigit()}
    params = {**params, **inner}
    convolved = jax.jit(partial(layers.convolve, padding=1))(inputs, params["kernel_first"])
    first = np.maximum(np.asarray(convolved) + params["bias_first"], 0)
    features = first[:, ::4, ::4].mean((1, 2))  # the other six channels are zeros
    expected = features @ params["kernel_dense"][:2] + params["bias_dense"]
    found = jax.jit(network.apply)({"params": params}, inputs)
    np.testing.assert_allclose(found, expected, rtol=1e-10)


def test_a_strided_convolution_looks_where_the_shortcut_does():
    images = jnp.asarray(DRAWS.normal(size=(1, 6, 6, 1)))
    center = jnp.zeros((3, 3, 1, 1)).at[1, 1].set(1.0)
    np.testing.assert_array_equal(layers.convolve(images, center, 2, 1), images[:, ::2, ::2])


@pytest.mark.parametrize(
    ("side", "window", "stride"), [(6, 3, 2), (7, 3, 2), (5, 2, 1), (4, 2, 2)]
)
def test_pooling_against_flax(side, window, stride):
    images = jnp.asarray(DRAWS.normal(size=(2, side, side, 3)))
    expected = nn.max_pool(images, (window, window), (stride, stride), "SAME")
    np.testing.assert_array_equal(layers.largest_near(images, window, stride), expected)
    if side % window == 0 and window == stride:
        np.testing.assert_array_equal(layers.largest_of(images, window), expected)
        expected = nn.avg_pool(images, (window, window), (stride, stride))
        np.testing.assert_allclose(layers.mean_of(images, window), expected, rtol=1e-12)


def test_local_response_against_a_plain_loop():
    images = DRAWS.normal(size=(1, 1, 2, 12)) * 30
    expected = images.copy()
    for channel in range(12):
        near = images[..., max(channel - 4, 0) : channel + 5]
        expected[..., channel] /= (1 + 0.001 / 9 * (near**2).sum(-1)) ** 0.75
    np.testing.assert_allclose(local_response(jnp.asarray(images)), expected, rtol=1e-12)


@pytest.mark.parametrize(
    ("network", "side"),
    [(PreResNet(channels=16, outputs=10), 8), slow(VGG(11, 32, outputs=10), 32)],
)
def test_initial_draws_as_garipov_published(network, side):
    """N(0, 2/n) with n = pixels · channels out of a convolution, and biases 0."""
    params = jax.jit(network.init)(KEY, np.zeros((1, side, side, 3), np.float32))["params"]
    params = jax.tree.map(np.asarray, params)
    kernels = {name: leaf for name, leaf in params.items() if name.startswith("kernel")}
    for name, leaf in kernels.items():
        wanted = 2 / (np.prod(leaf.shape[:-2]) * leaf.shape[-1])
        if "dense" in name:  # PyTorch's default there, ours here
            wanted = 2 / leaf.shape[0]
        few = 6 * np.sqrt(2 / leaf.size)  # six deviations of a variance
        assert leaf.var() == pytest.approx(wanted, rel=few), name
    assert not any(leaf.any() for name, leaf in params.items() if name.startswith("bias"))


def test_initial_draws_as_published():
    assert layers.HE(KEY, (3, 3, 64, 64)).var() == pytest.approx(2 / (9 * 64), rel=0.05)
    network, inputs = AlexNet((16, 16), (32, 16), outputs=10), jnp.zeros((1, 8, 8, 3), jnp.float32)
    params = jax.tree.map(np.asarray, jax.jit(network.init)(KEY, inputs)["params"])
    for layer, (bias, cut) in enumerate([(0, 0.1), (0.1, 0.1), (0.1, 0.08), (0.1, 0.08)]):
        np.testing.assert_allclose(params[f"bias_{layer}"], bias, rtol=1e-6)
        assert 0.9 * cut < abs(params[f"kernel_{layer}"]).max() < 1.001 * cut
    assert 0.9 / 8 < abs(params["kernel_4"]).max() < 1.001 / 8
    assert not params["bias_4"].any()


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: ResNet(depth=18), "depth must be 6n \\+ 2, such as 8, 20, 32 or 56, got 18"),
        (lambda: ResNet(depth=2), "depth must be"),
        (lambda: ResNet(channels=0), "channels must be at least 1"),
        (lambda: ResNet(shortcut="C"), "shortcut must be one of A, B, none"),
        (lambda: ResNet(norm="bacth"), "norm must be one of .*did you mean 'batch'"),
        (lambda: ResNet(groups=0), "groups must be at least 1"),
        (lambda: VGG(depth=12), r"depth must be one of \[11, 13, 16, 19\]"),
        (lambda: VGG(widths=(8, 0)), "widths must all be at least 1"),
        (lambda: DenseNet(depth=41), r"depth must be 3n \+ 4"),
        (lambda: DenseNet(depth=4), "depth must be"),
        (lambda: DenseNet(depth=13, bottleneck=True), r"depth must be 6n \+ 4"),
        (lambda: DenseNet(growth=0), "growth must be at least 1"),
        (lambda: DenseNet(compression=0.0), r"compression must be in \(0, 1\]"),
        (lambda: AlexNet(channels=(4, 0)), "channels must all be at least 1"),
        (lambda: AlexNet(outputs=0), "outputs must be at least 1"),
        (lambda: AlexNet(norm="bacth"), "norm must be one of .*did you mean 'batch'"),
        (lambda: CNN(norm="bacth"), "norm must be one of .*did you mean 'batch'"),
        (lambda: CNN(groups=0), "groups must be at least 1"),
    ],
)
def test_bad_settings(build, message):
    with pytest.raises(ValueError, match=message):
        build()


@pytest.mark.parametrize(
    ("network", "shape", "message"),
    [
        (ResNet(), (1, 7), "convolutions need images"),
        (ResNet(), (1, 7, 9, 3), "ResNet needs images of at least 8 × 8 pixels, got 7 × 9"),
        (ResNet(channels=4, norm="group"), (1, 8, 8, 3), "groups must divide .* 8 and 4 do not"),
        (VGG(), (1, 28, 28, 3), "VGG needs .* multiples of 32 pixels, got 28 × 28"),
        (DenseNet(), (1, 14, 14, 3), "DenseNet needs .* multiples of 4 pixels"),
        (AlexNet(), (1, 4, 4, 3), "AlexNet needs images of at least 8 × 8"),
        (CNN((8, 12), norm="group"), (1, 8, 8, 3), "groups must divide .* 8 and 12 do not"),
    ],
)
def test_images_that_do_not_fit(network, shape, message):
    with pytest.raises(ValueError, match=message):
        jax.eval_shape(lambda: network.init(KEY, jnp.zeros(shape, jnp.float32)))
