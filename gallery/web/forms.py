"""What a creator fills in about assets."""

from typing import Any

from django import forms
from django.utils.translation import gettext, gettext_lazy

from gallery.descriptions import MOST_NOTES
from gallery.models import Asset
from gallery.organising import Change
from gallery.search import LONGEST_QUERY, Wanted


class FilterForm(forms.Form):
    """The gallery's query string; what makes no sense in it is left out."""

    q = forms.CharField(required=False, max_length=LONGEST_QUERY)
    kind = forms.ChoiceField(required=False, choices=Asset.Kind.choices)
    origin = forms.ChoiceField(required=False, choices=Asset.Origin.choices)
    model = forms.CharField(required=False, max_length=128)
    tag = forms.CharField(required=False, max_length=60)
    tagged = forms.TypedChoiceField(required=False, choices=[("0", "")], coerce=lambda given: given != "0")
    category = forms.CharField(required=False, max_length=40)
    collection = forms.CharField(required=False, max_length=60)
    favourite = forms.TypedChoiceField(required=False, choices=[("1", "")], coerce=bool)
    since = forms.DateField(required=False)
    until = forms.DateField(required=False)
    trash = forms.TypedChoiceField(required=False, choices=[("1", "")], coerce=bool)

    def chosen(self) -> dict[str, Any]:
        """The filters that were understood."""
        self.is_valid()
        return {name: value for name, value in self.cleaned_data.items() if value not in ("", None)}

    def wanted(self) -> Wanted:
        """The same for the search."""
        return Wanted(**self.chosen())


def words(text: str) -> list[str]:
    """Of a text with commas, what stands between them."""
    return [word.strip() for word in text.split(",") if word.strip()]


class OrganiseForm(forms.Form):
    """What is to be done with the assets that are selected; `act` is the button pressed."""

    # "enter" is the key pressed in one of the fields: it does what that field is for.
    ACTS = ("enter", "tag", "untag", "categorise", "collect", "uncollect", "favourite", "unfavourite")

    act = forms.ChoiceField(
        choices=[(act, act) for act in ACTS], error_messages={"required": gettext_lazy("Choose what to do.")}
    )
    tags = forms.CharField(required=False, max_length=2000)
    category = forms.CharField(required=False, max_length=40)
    new_category = forms.CharField(required=False, max_length=40)
    collection = forms.CharField(required=False, max_length=60)

    def clean(self) -> dict[str, Any]:
        """A word is needed for what has to be named."""
        given = self.cleaned_data
        if given.get("act") == "enter":
            filled = {"tags": "tag", "collection": "collect", "new_category": "categorise", "category": "categorise"}
            given["act"] = next((act for field, act in filled.items() if given.get(field)), "tag")
        needed = {"tag": "tags", "untag": "tags", "collect": "collection", "uncollect": "collection"}
        field = needed.get(given.get("act", ""))
        if field and not given.get(field):
            self.add_error(
                field, gettext("Write a tag first.") if field == "tags" else gettext("Name a collection first.")
            )
        return given

    def change(self) -> Change:
        """The change as the library makes it; a new category has been made by then."""
        given = self.cleaned_data
        match given["act"]:
            case "tag":
                return Change(add_tags=words(given["tags"]))
            case "untag":
                return Change(remove_tags=words(given["tags"]))
            case "categorise":
                return Change(category=given["new_category"] or given["category"])
            case "collect":
                return Change(collect=given["collection"])
            case "uncollect":
                return Change(uncollect=given["collection"])
            case act:
                return Change(favourite=act == "favourite")


class DetailsForm(forms.Form):
    """What an owner says of an asset. Rules are the library's; this gives the fields their shape."""

    title = forms.CharField(required=False, max_length=200)
    reference_name = forms.CharField(
        required=False,
        max_length=41,
        help_text=gettext_lazy("A short name for it, like hero or lake-blue."),
        widget=forms.TextInput(attrs={"placeholder": "@lake-blue", "autocapitalize": "none", "spellcheck": "false"}),
    )
    tags = forms.CharField(
        required=False,
        max_length=2000,
        help_text=gettext_lazy("Words separated by commas."),
        widget=forms.TextInput(
            attrs={"placeholder": gettext_lazy("lake, blue hour"), "list": "tag-names", "autocomplete": "off"}
        ),
    )
    category = forms.ChoiceField(required=False)
    new_category = forms.CharField(required=False, max_length=40, label=gettext_lazy("Or a category of your own"))
    notes = forms.CharField(required=False, max_length=MOST_NOTES, widget=forms.Textarea(attrs={"rows": 3}))

    def __init__(self, *args: Any, categories: list[tuple[str, str]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        category = self.fields["category"]
        assert isinstance(category, forms.ChoiceField)
        category.choices = categories
        for name, field in self.fields.items():
            field.widget.attrs["class"] = "input"
            if field.help_text:
                field.widget.attrs["aria-describedby"] = f"id_{name}_hint"

    @classmethod
    def of(cls, asset: Asset, *, tags: list[str], categories: list[tuple[str, str]]) -> "DetailsForm":
        """Filled with what is known."""
        initial = {
            "title": asset.title,
            "reference_name": f"@{asset.reference_name}" if asset.reference_name else "",
            "tags": ", ".join(tags),
            "category": asset.category,
            "notes": asset.notes,
        }
        return cls(initial=initial, categories=categories)

    def clean_tags(self) -> list[str]:
        """The words."""
        return words(self.cleaned_data["tags"])
