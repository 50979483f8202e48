"""Story world: endless short stories whose probability and meaning are known."""

from gptcourse.corpora.stories.telling import (
    SEPARATOR,
    entropy,
    log_probability,
    stories,
    text,
)
from gptcourse.corpora.stories.world import description, world_of
