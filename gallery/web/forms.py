"""What a creator fills in about assets."""

from typing import Any

from django import forms

from gallery.models import Asset
from gallery.search import LONGEST_QUERY


class FilterForm(forms.Form):
    """The gallery's query string; what makes no sense in it is left out."""

    q = forms.CharField(required=False, max_length=LONGEST_QUERY)
    kind = forms.ChoiceField(required=False, choices=Asset.Kind.choices)
    origin = forms.ChoiceField(required=False, choices=Asset.Origin.choices)
    model = forms.CharField(required=False, max_length=128)
    tag = forms.CharField(required=False, max_length=60)
    category = forms.ChoiceField(required=False, choices=Asset.Category.choices)
    favourite = forms.TypedChoiceField(required=False, choices=[("1", "")], coerce=bool, empty_value=None)

    def chosen(self) -> dict[str, Any]:
        """The filters that were understood."""
        self.is_valid()
        return {name: value for name, value in self.cleaned_data.items() if value}


class DetailsForm(forms.Form):
    """What an owner says of an asset. Rules are the library's; this gives the fields their shape."""

    title = forms.CharField(required=False, max_length=200)
    reference_name = forms.CharField(
        required=False,
        max_length=41,
        help_text="A short name for it, like hero or lake-blue.",
        widget=forms.TextInput(attrs={"placeholder": "@lake-blue"}),
    )
    tags = forms.CharField(
        required=False,
        max_length=2000,
        help_text="Words separated by commas.",
        widget=forms.TextInput(attrs={"placeholder": "lake, blue hour"}),
    )
    category = forms.ChoiceField(required=False, choices=Asset.Category.choices)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, field in self.fields.items():
            field.widget.attrs["class"] = "input"
            if field.help_text:
                field.widget.attrs["aria-describedby"] = f"id_{name}_hint"

    @classmethod
    def of(cls, asset: Asset) -> "DetailsForm":
        """Filled with what is known."""
        name = f"@{asset.reference_name}" if asset.reference_name else ""
        tags = ", ".join(sorted(tag.name for tag in asset.tags.all()))
        return cls(initial={"title": asset.title, "reference_name": name, "tags": tags, "category": asset.category})

    def clean_tags(self) -> list[str]:
        """The words."""
        return [word.strip() for word in self.cleaned_data["tags"].split(",") if word.strip()]
