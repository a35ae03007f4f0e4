package story

var badPBX []Story
