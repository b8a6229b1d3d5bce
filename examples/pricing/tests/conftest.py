import pytest
from pricing_service import service


@pytest.fixture
def eas_register():
    """What `eas_gateway` has behind it in these tests."""
    return service.register
