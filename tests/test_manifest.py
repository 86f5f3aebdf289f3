"""What a manifest says of its run."""

from landscape_cli.manifest import references

ONE = "@article{one,\n  title = {One}\n}"
TWO = "@article{two,\n  title = {Two}\n}"


class First:
    reference = ONE


class Both:
    reference = f"{TWO}\n{ONE}"


class Silent:
    pass


def test_every_entry_is_given_once_also_where_parts_bring_several():
    assert references([First(), Both(), Silent(), First()]) == [ONE, TWO]
