package story

var recordings, badPBX []Story
