package board

const bcm2711 = "pinctrl-bcm2711"

// cm4 is the reference carrier for the Compute Module 4; see cm4.md.
var cm4 = Board{
	Model: "cm4",
	Keys: []Key{
		{"answer", bcm2711, 5, true, Up},
		{"busy", bcm2711, 6, true, Up},
		{"acw", bcm2711, 12, true, Up},
		{"dnd", bcm2711, 13, true, Up},
		{"mute", bcm2711, 16, true, Up},
		{"rec-pause", bcm2711, 19, true, Up},
		{"vol-up", bcm2711, 20, true, Up},
		{"vol-down", bcm2711, 21, true, Up},
		{"help", bcm2711, 26, true, Up},
		{"case-open", bcm2711, 22, true, Up},
		{"cradle", bcm2711, 23, true, Up},
	},
	Lamps: []Lamp{
		{"beacon", "red", bcm2711, 17, false},
		{"beacon", "green", bcm2711, 27, false},
		{"beacon", "blue", bcm2711, 24, false},
		{"answer", "", bcm2711, 25, false},
		{"busy", "", bcm2711, 7, false},
		{"acw", "", bcm2711, 8, false},
		{"dnd", "", bcm2711, 9, false},
		{"mute", "", bcm2711, 10, false},
		{"rec", "", bcm2711, 11, false},
		{"link", "", bcm2711, 18, false},
	},
}
