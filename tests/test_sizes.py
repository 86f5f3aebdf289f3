"""Networks wider and deeper: which fields change, and what is refused."""

import pytest

from landscape_cli.errors import UserError
from landscape_cli.models.alexnet import AlexNet
from landscape_cli.models.cnn import CNN
from landscape_cli.models.densenet import DenseNet
from landscape_cli.models.double_well import DoubleWell
from landscape_cli.models.linear_net import LinearNet
from landscape_cli.models.mlp import MLP
from landscape_cli.models.resnet import ResNet
from landscape_cli.sizes import resized, size_of


def test_all_layers_of_a_list_get_the_width():
    model = MLP(widths=(4, 4), activation="relu", outputs=3)
    assert resized(model, 7).widths == (7, 7)
    assert resized(model, 7, 3).widths == (7, 7, 7)
    assert resized(model, depth=1).widths == (4,)
    assert resized(model) == model
    assert (resized(model, 7).activation, resized(model, 7).outputs) == ("relu", 3)
    assert resized(LinearNet(widths=(2,)), 5, 4).widths == (5,) * 4
    assert size_of(model) == (4, 2) and size_of(resized(model, 9, 5)) == (9, 5)


def test_of_convolutional_networks_channels_are_the_width():
    wide = resized(CNN(channels=(8, 16), widths=(32,)), 5, 3)
    assert wide.channels == (5, 5, 5) and wide.widths == (32,)
    deep = resized(ResNet(depth=8, channels=16), 4, 14)
    assert (deep.channels, deep.depth) == (4, 14) == size_of(deep)
    assert resized(DenseNet(depth=40, growth=12), 6).growth == 6


@pytest.mark.parametrize(
    ("model", "size", "message"),
    [
        (ResNet(), {"depth": 9}, r"experiment: ResNet of depth=9: depth must be 6n \+ 2"),
        (AlexNet(), {"depth": 3}, "experiment.depths: AlexNet always has 2 channels"),
        (
            DoubleWell(2),
            {"width": 3},
            "model: DoubleWell has no channels, widths or growth to scan",
        ),
    ],
)
def test_what_a_model_cannot_be_is_said_in_one_line(model, size, message):
    with pytest.raises(UserError, match=message) as refused:
        resized(model, **size)
    assert "\n" not in str(refused.value)
