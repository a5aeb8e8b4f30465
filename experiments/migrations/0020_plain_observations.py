from django.db import migrations, models


class Migration(migrations.Migration):
    """Numbers of a unit are called what they are; a rename touches no row."""

    dependencies = [("experiments", "0019_metrics_of_an_experiment")]
    operations = [
        migrations.RenameField("observation", "y", "value"),
        migrations.RenameField("observation", "d", "denominator"),
        migrations.RenameField("observation", "x", "covariate"),
        migrations.RenameField("observation", "w", "denominator_covariate"),
        migrations.RenameField("observation", "u", "uncapped_value"),
        migrations.RenameField("total", "sum_y", "sum_value"),
        migrations.RenameField("total", "sum_yy", "sum_value_squared"),
        migrations.RenameField("total", "sum_d", "sum_denominator"),
        migrations.RenameField("total", "sum_dd", "sum_denominator_squared"),
        migrations.RenameField("total", "sum_yd", "sum_value_times_denominator"),
        migrations.RenameField("total", "sum_x", "sum_covariate"),
        migrations.RenameField("total", "sum_xx", "sum_covariate_squared"),
        migrations.RenameField("total", "sum_yx", "sum_value_times_covariate"),
        migrations.RenameField("total", "sum_w", "sum_denominator_covariate"),
        migrations.RenameField("total", "sum_ww", "sum_denominator_covariate_squared"),
        migrations.RenameField("total", "sum_yw", "sum_value_times_denominator_covariate"),
        migrations.RenameField("total", "sum_dx", "sum_denominator_times_covariate"),
        migrations.RenameField("total", "sum_dw", "sum_denominator_times_denominator_covariate"),
        migrations.RenameField("total", "sum_xw", "sum_covariate_times_denominator_covariate"),
        migrations.RenameField("total", "sum_u", "sum_uncapped_value"),
        migrations.RenameField("total", "sum_uu", "sum_uncapped_value_squared"),
        migrations.RenameField("exposuretotal", "doubled", "crossover_units"),
        migrations.AlterField(
            "observation",
            "value",
            models.FloatField(default=0.0, help_text="Or what stands above the line; capped."),
        ),
        migrations.AlterField(
            "observation",
            "denominator",
            models.FloatField(default=1.0, help_text="1 if it is not a ratio."),
        ),
        migrations.AlterField(
            "observation",
            "covariate",
            models.FloatField(default=0.0, help_text="The value before exposure."),
        ),
        migrations.AlterField(
            "observation",
            "denominator_covariate",
            models.FloatField(default=1.0, help_text="The denominator before exposure."),
        ),
        migrations.AlterField(
            "observation",
            "uncapped_value",
            models.FloatField(default=0.0, help_text="The value without the cap."),
        ),
    ]
